"""What physicians change, counted by part and kind, without a word of it."""

import pytest

from services.approval.review.edit_counts import edit_counts
from shared.contracts import authorship
from shared.contracts.draft import DocumentPart, Draft, Fact, FactGroup, Prompt, Sentence

LINE = authorship.authorship_line("model")
TEXT = f"""DISCHARGE SUMMARY

Patient: Jane Roe, born 1950-01-02, female, MRN 17

REASON FOR HOSPITALIZATION
Reason for admission:
  - Pneumonia

PROCEDURES AND TREATMENT
Medicines:
  - Amoxicillin 500 mg by mouth three times a day
  - Metoprolol 25 mg by mouth twice a day
Hospital course:
  She was admitted with pneumonia.
  She was treated with amoxicillin for 5 days.
  She was afebrile on the day of discharge.

{LINE}
"""
SENTENCES = tuple(line.strip() for line in TEXT.splitlines() if line.startswith("  She"))
REASON, TREATMENT = "reason-for-hospitalization", "procedures-and-treatment"
DRAFT = Draft(
    kind="discharge-summary",
    number=1,
    parts=(
        DocumentPart(
            code=REASON,
            title="Reason for hospitalization",
            groups=(FactGroup(title="Reason for admission", facts=(Fact(text="Pneumonia", source="Condition/c"),)),),
        ),
        DocumentPart(
            code=TREATMENT,
            title="Procedures and treatment",
            groups=(FactGroup(title="Medicines", facts=(Fact(text="Amoxicillin 500 mg", source="M/1"),)),),
            narrative=tuple(Sentence(narrative="hospital-course", text=item) for item in SENTENCES),
        ),
    ),
    text=TEXT,
    model="m",
    prompt=Prompt(name="p", version=1, digest="0"),
    context_digest="0",
)


def counted(text: str) -> dict[tuple[str, str], int]:
    return {(item.part, item.kind): item.count for item in edit_counts(DRAFT, text)}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (f"  {SENTENCES[2]}\n", "", {(TREATMENT, "sentence-removed"): 1}),
        (f"  {SENTENCES[1]}\n  {SENTENCES[2]}\n", "", {(TREATMENT, "sentence-removed"): 2}),
        (SENTENCES[2], f"{SENTENCES[2]} The dietician saw her.", {(TREATMENT, "sentence-added"): 1}),
        ("for 5 days", "for 7 days", {(TREATMENT, "sentence-number-changed"): 1}),
        ("for 5 days", "for some days", {(TREATMENT, "sentence-reworded"): 1}),
        ("She was afebrile on", "She was well on", {(TREATMENT, "sentence-reworded"): 1}),
        (
            f"  {SENTENCES[0]}\n  {SENTENCES[1]}\n",
            f"  {SENTENCES[1]}\n  {SENTENCES[0]}\n",
            {(TREATMENT, "sentence-moved"): 1},
        ),
        ("25 mg", "50 mg", {(TREATMENT, "fact-number-changed"): 1}),
        ("  - Metoprolol 25 mg by mouth twice a day\n", "", {(TREATMENT, "fact-removed"): 1}),
        ("  - Pneumonia\n", "  - Pneumonia\n  - Heart failure\n", {(REASON, "fact-added"): 1}),
        ("MRN 17", "MRN 17, interpreter needed", {("document-header", "fact-reworded"): 1}),
    ],
)
def test_an_edit_is_counted_where_it_was_made(old: str, new: str, found: dict[tuple[str, str], int]) -> None:
    assert old in TEXT
    assert counted(TEXT.replace(old, new)) == found


def test_edits_of_several_parts_are_counted_each_in_its_part() -> None:
    text = TEXT.replace("  - Pneumonia", "  - Pneumonia of the left lung").replace(f"  {SENTENCES[0]}\n", "")
    assert counted(text) == {(REASON, "fact-reworded"): 1, (TREATMENT, "sentence-removed"): 1}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LINE, authorship.authorship_line("model", changed=True)),  # the product's own line, which follows the text
        ("Hospital course:", "Course:"),
        ("  She was admitted", "She was  admitted"),
        ("PROCEDURES AND TREATMENT", "Procedures and treatment"),
        ("\n\n", "\r\n\r\n"),
    ],
)
def test_what_is_no_edit_of_the_content_is_not_counted(old: str, new: str) -> None:
    assert old in TEXT
    assert counted(TEXT.replace(old, new)) == {}


def test_a_sentence_that_goes_to_another_part_was_moved_from_its_own() -> None:
    text = TEXT.replace(f"  {SENTENCES[0]}\n", "").replace("  - Pneumonia\n", f"  - Pneumonia\n{SENTENCES[0]}\n")
    assert counted(text) == {(TREATMENT, "sentence-moved"): 1}


def test_the_counts_have_no_word_of_the_text() -> None:
    text = TEXT.replace("She was afebrile", "Her daughter Ada collected her").replace("17", "18")
    found = " ".join(item.model_dump_json() for item in edit_counts(DRAFT, text))
    assert not any(word in found for word in ("Ada", "afebrile", "17", "18", "Jane"))


def test_a_text_that_is_nothing_but_changes_is_counted_in_bounded_time() -> None:
    narrative = "\n".join(f"  Sentence {number} says something else of {number * 7}." for number in range(4000))
    found = counted(TEXT.replace(f"  {SENTENCES[0]}", narrative))
    assert sum(found.values()) >= 3900
