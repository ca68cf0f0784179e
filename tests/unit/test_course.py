"""The composed course: complete by rule, certain words for uncertain facts, no number that the record does not have."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.drafter.course import compose_course, hospital_course, instructions
from services.drafter.course.instructions import plain_directions
from shared.contracts.context import EncounterContext
from tests.support.course import context, diagnosis, entry, medicine, series

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc",), exclude_characters=".,;_() \n"), min_size=1, max_size=12
).map(lambda text: " ".join(f"Q{text}".split()))
CERTAINTY: dict[str, str] = {"suspected": "uspected", "ruled-out": "Ruled out"}


CONTEXTS = st.builds(
    lambda found, done, labs, home, after, died: context(
        diagnoses=tuple(found),
        procedures=tuple(entry(text) for text in done),
        labs=tuple(labs),
        home_medicines=tuple(home),
        discharge_medicines=tuple(after),
        kind="death-summary" if died else "discharge-summary",
    ),
    st.lists(
        st.builds(
            diagnosis,
            TEXT,
            st.sampled_from(["principal", "comorbidity"]),
            st.sampled_from(["confirmed", "suspected", "ruled-out"]),
            st.booleans(),
        ),
        max_size=5,
    ),
    st.lists(TEXT, max_size=12),
    st.lists(st.builds(series, TEXT, TEXT, st.booleans()), max_size=9, unique_by=lambda item: item.name),
    st.lists(st.builds(medicine, TEXT, TEXT, st.integers(1, 9)), max_size=9),
    st.lists(st.builds(medicine, TEXT, TEXT, st.integers(1, 9)), max_size=9),
    st.booleans(),
)


@given(CONTEXTS)
def test_the_course_is_complete_and_invents_no_number(stay: EncounterContext) -> None:
    sentences = compose_course(stay)
    text = " ".join(item.text for item in sentences).lower()
    known = set(NUMBER.findall(stay.model_dump_json())) | {"2026", "03", "02"}
    counted = re.sub(r"\d+ further", "", " ".join(item.text for item in sentences))
    # Numbers are compared in the text as JSON has it: other scripts' digits are escaped there.
    assert {number for number in NUMBER.findall(counted) if number.isascii()} <= known
    assert all(item.origin == "rules" and not item.unsupported and item.evidence for item in sentences)
    for item in [*stay.diagnoses, *stay.procedures]:
        assert item.text.lower() in text
    for lab in stay.labs:
        assert lab.first.flag != "critically high" or lab.first.value.lower() in text
    for order in stay.discharge_medicines:
        assert stay.died or order.name.lower() in text


@given(CONTEXTS)
def test_an_uncertain_diagnosis_never_stands_without_its_word(stay: EncounterContext) -> None:
    for item in stay.diagnoses:
        if word := CERTAINTY.get(item.certainty):
            assert any(item.text.lower() in told.text.lower() and word in told.text for told in hospital_course(stay))


def test_a_course_tells_reason_findings_procedures_and_changes_in_order() -> None:
    stay = context(
        reasons=(entry("Chest pain"),),
        diagnoses=(diagnosis("NSTEMI"), diagnosis("Stroke", "comorbidity", "ruled-out")),
        labs=(series("Potassium", "6.8 mmol/L", critical=True),),
        procedures=(entry("Coronary angiography"),),
        home_medicines=(medicine("Ramipril", "5 mg daily", 1), medicine("Ibuprofen", "400 mg daily", 2)),
        discharge_medicines=(medicine("Ramipril", "10 mg daily", 3),),
        disposition="Home",
    )
    assert [item.text for item in hospital_course(stay)][:6] == [
        "This woman was admitted on 2026-03-02; reason recorded: Chest pain.",
        "Principal diagnosis: NSTEMI.",
        "Ruled out: Stroke.",
        "Critical laboratory results: Potassium 6.8 mmol/L (critically high) on 2026-03-02.",
        "Procedure: Coronary angiography (2026-03-02).",
        "The stay ended on 2026-03-02; discharge disposition: Home.",
    ]
    text = " ".join(item.text for item in hospital_course(stay))
    assert "Changed: Ramipril from “5 mg daily” to “10 mg daily”." in text
    assert "Ibuprofen" in text


def test_a_dead_patient_is_not_instructed_and_the_course_says_the_death() -> None:
    stay = context(kind="death-summary", outcome=(entry("Cause of death: sepsis"),))
    assert instructions(stay) == ()
    assert instructions(context(died_later="2026-03-09")) == ()
    assert "The patient died in hospital on 2026-03-02." in [item.text for item in hospital_course(stay)]


def test_the_instructions_name_what_to_take_and_what_not() -> None:
    held = medicine("Metformin", "500 mg", 2).model_copy(update={"status": "on-hold"})
    stay = context(discharge_medicines=(medicine("Ramipril", "", 1),), other_medicines=(held,))
    assert [item.text for item in instructions(stay)] == [
        "Take Ramipril: how much and how often is not recorded.",
        "Do not take Metformin for now.",
    ]


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        ("5mg PO BID, supply for 7 days", "5mg by mouth twice a day, supply for 7 days"),
        ("500 mg, PO, three times daily", "500 mg, by mouth, three times daily"),
        ("100mcg, INH, as needed", "100 micrograms, inhaled, as needed"),
        ("5/325mg PO q4-6h PRN", "5/325mg by mouth every 4-6 hours as needed"),
        ("10 mL IV once daily", "10 mL into a vein once a day"),
        ("potassium point 0.5", "potassium point 0.5"),
    ],
)
def test_directions_are_told_in_plain_words_and_every_figure_stays(recorded: str, told: str) -> None:
    assert plain_directions(recorded) == told
