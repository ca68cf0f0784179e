"""Kinds, sections and sentences of notes as they are typed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.drafter.notes.note_kinds import note_kind
from services.drafter.notes.sections import section_of, split_parts
from services.drafter.notes.sentences import normalize, split_note_sentences


@pytest.mark.parametrize(
    ("codes", "title", "kind"),
    [
        (["34117-2"], "Note", "admission"),
        ([], "Physician H&P", "admission"),
        (["11506-3"], "Nursing addendum", "progress"),
        ([], "Nursing admission note", "nursing"),
        ([], "Consults - Cardiology", "consult"),
        ([], "Konsil Kardiologie", "consult"),
        ([], "Op Note", "operation"),
        ([], "OP-Bericht", "operation"),
        ([], "ED Provider Notes", "emergency"),
        ([], "MICU Transfer Acceptance Note", "transfer"),
        ([], "PT Initial Eval", "therapy"),
        ([], "Bronchoscopy", "procedure"),
        ([], "Verlaufsdokumentation", "progress"),
        ([], "Significant Event", "other"),
        ([], "Consent for anesthesia", None),
        ([], "Radiology report", None),
        (["18748-4"], "Progress note", None),
        ([], "After visit medication list", None),
        ([], "Advance directive", None),
    ],
)
def test_the_kind_of_a_note(codes: list[str], title: str, kind: str | None) -> None:
    assert note_kind(codes, title) == kind


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("ASSESSMENT AND PLAN", "assessment"), ("A/P", "assessment"), ("**Impression**", "assessment"),
        ("Plan", "plan"), ("Brief Hospital Course", "course"), ("ED Course and MDM", "course"), ("HPI", "hpi"),
        ("Interval History", "interval"), ("Overnight events", "interval"), ("Recommendations", "recommendations"),
        ("PMHx", "history"), ("Past Surgical History", "history"), ("Family Hx", "family"),
        ("Current Facility-Administered Medications", "medications"), ("Review of Systems", "review"),
        ("Physical Exam", "exam"), ("Operative Findings", "findings"), ("EBL", "blood-loss"),
        ("Complications", "complications"), ("Procedure(s) Performed", "procedure"), ("Pertinent Labs", "results"),
        ("Code Status", "code-status"), ("Beurteilung", "assessment"), ("Verlauf", "course"),
        ("Conclusie", "assessment"),
        ("He was transferred to the ICU", None), ("Continue ceftriaxone", None),
    ],
)  # fmt: skip
def test_the_section_of_a_heading(heading: str, section: str | None) -> None:
    assert section_of(heading) == section


def test_a_note_by_its_headings_and_problems() -> None:
    text = (
        "Subjective: slept.\nBP: 120/80 at 10:30\nVitals:\nT 37\n\nAssessment/Plan:\n# Sepsis\nLactate cleared.\n"
        "1. AKI - resolved with fluids\n2. Pain: controlled\nCode status: Full\nSomething Unknown:\nword"
    )
    found = [(part.section, part.problem, " ".join(part.lines).strip()) for part in split_parts(text)]
    assert found == [
        ("interval", "", "slept. BP: 120/80 at 10:30"),
        ("vitals", "", "T 37"),
        ("assessment", "Sepsis", "Sepsis  Lactate cleared."),
        ("assessment", "AKI", "1. AKI - resolved with fluids"),
        ("assessment", "Pain", "2. Pain: controlled"),
        ("code-status", "", "Full"),
        ("other", "", "word"),
    ]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["Seen by Dr. Lee. Afebrile on 3.5 mg."], ["Seen by Dr. Lee.", "Afebrile on 3.5 mg."]),
        (["- started heparin", "- CT negative"], ["started heparin", "CT negative"]),
        (["The patient was taken to the operating room where a large", "abscess was drained."],
         ["The patient was taken to the operating room where a large abscess was drained."]),
        (["Improved on antibiotics", "Ambulating in the hall"], ["Improved on antibiotics", "Ambulating in the hall"]),
        (["1) first", "2) second", "", "  [x] third"], ["first", "second", "third"]),
        (["The effusion was drained by interventional radiol-", "ogy."],
         ["The effusion was drained by interventional radiol- ogy."]),
        (["Inadequate oral intake related to sepsis, under half of meals", "Intervention: supplements"],
         ["Inadequate oral intake related to sepsis, under half of meals", "Intervention: supplements"]),
        (["--", "  ", "*"], []),
    ],
)  # fmt: skip
def test_sentences_of_lines(lines: list[str], found: list[str]) -> None:
    assert list(split_note_sentences(lines)) == found


MARKS = ["-", "1.", "|", "#", "\n", "Dr.", "K", "3.4", "x3", "Plan", "Assessment:"]
WORDS = st.lists(st.sampled_from([*MARKS, "Afebrile", "overnight.", "improved;", "given", "WORSE"]), max_size=60)


@given(WORDS)
def test_no_word_of_a_note_is_lost_but_headings(words: list[str]) -> None:
    text = " ".join(words)
    told = [part.heading for part in split_parts(text)]
    told += [sentence for part in split_parts(text) for sentence in split_note_sentences(part.lines)]
    kept = normalize(" ".join(told)).split()
    for word in re.findall(r"afebrile|overnight|improved|given|worse", text.casefold()):
        assert word in kept


def test_a_line_that_looks_like_a_heading_and_has_nothing_below_it_is_kept() -> None:
    text = "Allergies\n  No Known Medication Allergies\nPhysical exam within normal limits\nLabs\n"
    assert [(part.section, " ".join(part.lines).split()) for part in split_parts(text)] == [
        ("allergies", ["No", "Known", "Medication", "Allergies"]),
        ("exam", ["Physical", "exam", "within", "normal", "limits"]),
    ]


def test_copies_are_equal_whatever_their_marks_and_case() -> None:
    assert normalize("- Volume overloaded; BNP 2,340.") == normalize("volume OVERLOADED, BNP 2,340")
    assert normalize("day 3") != normalize("day 4")
