"""What keeps a text from being signed: what is not resolved, whose text it is, what it lacks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.approval import domain
from services.approval.review import signing_rules
from services.approval.review.autosave import AutosavedDraft
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.signing_rules import ResolvedItems
from shared.contracts.case import fold
from shared.contracts.draft import TO_BE_WRITTEN, Claim, DocumentPart, Draft, Fact, FactGroup, OpenPoint, Sentence
from shared.contracts.envelope import sha256_hex
from shared.contracts.events import Approved, ReadingFigures, ResolutionKind
from tests.support.examples import DIGEST, PHYSICIAN, PROMPT
from tests.unit.test_approval import REVIEW, history

TRUE = "She came with a stroke."
INVENTED = "She was given Ibuprofen 400 mg."
OTHER = "She walked home alone."
TEXT = f"""DISCHARGE SUMMARY

Patient: Jane Roe, born 1950-01-02, female, MRN 17
Stay: Admitted 2026-11-20, discharged 2026-11-23

REASON FOR HOSPITALIZATION
Reason for admission:
  - Stroke

PROCEDURES AND TREATMENT
Hospital course:
  {TRUE} {INVENTED} {OTHER}
"""
CLAIM = (Claim(kind="drug", text="Ibuprofen"),)
DRAFT = Draft(
    kind="discharge-summary",
    number=1,
    parts=(
        DocumentPart(
            code="reason-for-hospitalization",
            title="Reason for hospitalization",
            groups=(FactGroup(title="Reason for admission", facts=(Fact(text="Stroke", source="Encounter/e1"),)),),
        ),
        DocumentPart(
            code="procedures-and-treatment",
            title="Procedures and treatment",
            narrative=(
                Sentence(narrative="hospital-course", text=TRUE),
                Sentence(narrative="hospital-course", text=INVENTED, unsupported=CLAIM),
                Sentence(narrative="hospital-course", text=OTHER, unsupported=CLAIM),
            ),
        ),
    ),
    text=TEXT,
    open_points=(OpenPoint(text="No follow-up visit is recorded"), OpenPoint(text="Two reports differ")),
    model="m",
    prompt=PROMPT,
    context_digest="c" * 64,
)
ALL = ResolvedItems({1: "confirmed", 2: "confirmed"}, (0, 1))


def sign(text: str | None = None, resolved: ResolvedItems = ALL) -> Approved:
    return domain.approve(fold(history(*REVIEW)), DIGEST, PHYSICIAN, draft=DRAFT, text=text, resolved=resolved)


def test_nothing_is_signed_that_nobody_has_settled() -> None:
    with pytest.raises(DecisionRefusedError) as refused:
        sign(resolved=ResolvedItems())
    assert refused.value.code == "unresolved"
    assert [(item.field, item.index) for item in refused.value.obstacles] == [
        ("resolutions", 1),
        ("resolutions", 2),
        ("acknowledged", 0),
        ("acknowledged", 1),
    ]
    assert refused.value.detail == (
        "To be resolved before the signature: 2 sentences that the record does not support and 2 open points."
    )
    assert "Ibuprofen" not in str(refused.value.obstacles), "no text of a draft in an error"


def test_to_say_that_a_sentence_was_removed_does_not_remove_it() -> None:
    with pytest.raises(DecisionRefusedError) as refused:
        sign(resolved=ResolvedItems({1: "removed", 2: "changed"}, (0, 1)))
    assert [item.index for item in refused.value.obstacles] == [1, 2]


@pytest.mark.parametrize("space", ["  ", "\n  ", " \u00a0", "\r\n"])
def test_a_sentence_stands_however_it_is_spaced_and_wrapped(space: str) -> None:
    text = TEXT.replace("given Ibuprofen", f"given{space}Ibuprofen")
    with pytest.raises(DecisionRefusedError) as refused:
        sign(text, ResolvedItems({2: "confirmed"}, (0, 1)))
    assert [(item.field, item.index) for item in refused.value.obstacles] == [("resolutions", 1)]
    assert [item.how for item in sign(text).resolutions] == ["confirmed", "confirmed"]


def test_what_became_of_each_sentence_is_in_the_event() -> None:
    text = TEXT.replace(f" {INVENTED}", "").replace(OTHER, "She walked home with her daughter.")
    made = sign(text, ResolvedItems({}, (0, 1)))
    assert [(item.sentence, item.how) for item in made.resolutions] == [(1, "removed"), (2, "changed")]
    assert (made.acknowledged, made.edited, made.signed) == ((0, 1), True, sha256_hex(text.encode()))
    as_it_is = sign()
    assert [(item.sentence, item.how) for item in as_it_is.resolutions] == [(1, "confirmed"), (2, "confirmed")]
    assert (as_it_is.edited, as_it_is.edits and as_it_is.edits.distance) == (True, 0), "the example's digest is another"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "who the patient is"),
        ("\n", "The part “Reason for hospitalization” is missing"),
        ("My own words.\n", "The part “Procedures and treatment” is missing"),
        (TEXT.replace("Jane Roe", "John Doe"), "names another patient"),
        (f"{TEXT}\n{TEXT.replace('MRN 17', 'MRN 18')}", "names another patient"),
        (TEXT.replace("Patient: Jane Roe, born 1950-01-02, female, MRN 17\n", ""), "who the patient is"),
        (TEXT.replace("  - Stroke\n", ""), "The part “Reason for hospitalization” is missing or empty"),
        (TEXT.replace("PROCEDURES AND TREATMENT\n", ""), "The part “Procedures and treatment” is missing"),
        (TEXT.replace(TRUE, f"{TO_BE_WRITTEN}: hospital course]"), "you are to write"),
    ],
)
def test_a_text_that_is_not_this_stays_whole_document_is_refused(text: str, words: str) -> None:
    with pytest.raises(DecisionRefusedError, match=words) as refused:
        sign(text)
    assert refused.value.code == "incomplete"
    assert "Roe" not in str(refused.value.obstacles)
    assert "Doe" not in str(refused.value.obstacles)


def test_spaces_and_line_ends_make_no_other_patient() -> None:
    assert sign(TEXT.replace("Jane Roe,", "Jane  Roe, ").replace("\n", "\r\n")).edited


def test_a_draft_with_nothing_to_settle_is_signed_without_being_read() -> None:
    (review,) = [item.body for item in history(*REVIEW) if item.name == "review-requested"]
    for to_settle, reads in ((0, False), (None, True), (2, True)):
        draft = review.draft.model_copy(update={"to_settle": to_settle})  # type: ignore[union-attr]
        waiting = review.model_copy(update={"draft": draft})
        assert domain.reads_draft(waiting, None) is reads  # type: ignore[arg-type]
        assert domain.reads_draft(waiting, TEXT) is True  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="without the draft"):
        domain.approve(fold(history(*REVIEW)), DIGEST, PHYSICIAN)


edits = st.lists(
    st.one_of(
        st.tuples(st.just("drop"), st.sampled_from([TRUE, INVENTED, OTHER, "  - Stroke\n", "Patient: "])),
        st.tuples(st.just("add"), st.text(max_size=40)),
        st.tuples(st.just("double"), st.sampled_from([INVENTED, OTHER])),
    ),
    max_size=6,
)
resolutions = st.dictionaries(st.integers(-1, 5), st.sampled_from(["confirmed", "changed", "removed"]))


@given(edits, resolutions, st.lists(st.integers(-1, 3)))
def test_no_sequence_of_edits_signs_what_nobody_settled(
    changes: list[tuple[str, str]], said: dict[int, ResolutionKind], acknowledged: list[int]
) -> None:
    text = TEXT
    for kind, words in changes:
        text = text.replace(words, "", 1) if kind == "drop" else f"{text}{words} \n"
    try:
        made = sign(text, ResolvedItems(said, acknowledged))
    except DecisionRefusedError:
        return
    assert {0, 1} <= set(acknowledged)
    for index in (1, 2):
        assert said.get(index) == "confirmed" or DRAFT.sentences[index].text not in text
    assert signing_rules.identity(DRAFT) in text
    assert made.signed == sha256_hex(text.encode())


def test_how_much_was_read_is_on_the_trail_where_the_page_says_it() -> None:
    assert AutosavedDraft(text=TEXT).reading(DRAFT) is None
    read = AutosavedDraft(text=TEXT, seconds=31, seen=frozenset({0, 7})).reading(DRAFT)
    assert read == ReadingFigures(seconds=31, parts_viewed=1, parts=2)
    made = domain.approve(fold(history(*REVIEW)), DIGEST, PHYSICIAN, draft=DRAFT, resolved=ALL, reading=read)
    assert made.reading == read
    stored = Approved.read(made.model_dump_json().encode())
    assert stored.reading == read
    assert made.model_dump(mode="json")["reading"] == {"seconds": 31, "seen": 1, "parts": 2}
