"""The same claim in the ways clinicians write it: shorthand, passive, second person, cues before and behind."""

import pytest

from shared.grounding import check
from shared.grounding.assertion import assertion_properties
from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.shorthand import expand_shorthand
from tests.unit.test_grounding import CONTEXT, ContextEntry

RECORD = EvidenceIndex(
    CONTEXT.model_copy(update={"pending": (ContextEntry(text="Legionella antigen", source="ServiceRequest/s1"),)})
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("D/c'd on lisinopril 10 mg.", "discharged on lisinopril 10 mg."),
        ("Lisinopril d/c'd.", "Lisinopril discontinued."),
        ("D/c lisinopril.", "Discontinue lisinopril."),
        ("Pt d/c'd.", "patient discharged."),
        ("Cr 1.0 at d/c.", "Cr 1.0 at discharge."),
        ("AKI 2/2 furosemide.", "AKI secondary to furosemide."),
        ("?PE.", "possible PE."),
        ("Amoxicillin x5d.", "Amoxicillin for 5 days."),
        ("Seen on 5/7.", "Seen on 5/7."),
        ("PT to see pt.", "PT to see patient."),
        ("All: codeine.", "Allergies: codeine."),
        ("You have gout.", "the patient has gout."),
        ("Nothing to expand here", "Nothing to expand here"),
    ],
)
def test_shorthand_is_written_out_by_what_stands_around_it(text: str, words: str) -> None:
    assert expand_shorthand(text) == words


@pytest.mark.parametrize(
    ("text", "what", "said"),
    [
        ("At no point during the stay did he have fever.", "fever", {"denied"}),
        ("We were able to exclude endocarditis.", "endocarditis", {"denied"}),
        ("Endocarditis: ruled out.", "Endocarditis", {"denied"}),
        ("He was checked for gout and does not have it.", "gout", {"denied", "uncertain"}),
        ("Nothing to suggest endocarditis.", "endocarditis", {"denied"}),
        ("It is possible that he has gout.", "gout", {"uncertain"}),
        ("Gout was kept as a differential.", "Gout", {"uncertain"}),
        ("Gout could not be excluded.", "Gout", {"uncertain"}),
        ("We wondered about gout.", "gout", {"uncertain"}),
        ("Gout runs in the family.", "Gout", {"family"}),
        ("Gout (mother).", "Gout", {"family"}),
        ("There is gout, affecting his father.", "gout", {"family"}),
        ("His father had a stroke, but he has gout.", "gout", set()),
        ("His mother reports that he has gout.", "gout", set()),
        ("Brought in by his wife, he has gout.", "gout", set()),
        ("CT without contrast showed gout.", "gout", set()),
    ],
)
def test_a_cue_reaches_what_it_speaks_of_and_no_further(text: str, what: str, said: set[str]) -> None:
    start = text.index(what)
    assert assertion_properties(text, (start, start + len(what))) == said


@pytest.mark.parametrize(
    ("sentence", "label"),
    [
        ("Adm w/ CAP.", "supported"),
        ("D/c'd home 06/04/2026.", "supported"),
        ("D/c'd to SNF.", "contradicted"),
        ("K 3.1 -> 4.2 mmol/L.", "supported"),
        ("K 4.2 -> 3.1 mmol/L.", "contradicted"),
        ("When you arrived at the hospital, your potassium was 3.1 mmol/L.", "supported"),
        ("When you arrived at the hospital, your potassium was 4.2 mmol/L.", "contradicted"),
        ("Potassium on the day she left us was 4.2 mmol/L.", "supported"),
        ("Potassium on the day she left us was 3.1 mmol/L.", "contradicted"),
        ("At the time of admission, creatinine was 1.0 mg/dL.", "supported"),
        ("At the conclusion of the hospitalization creatinine was 1.0 mg/dL.", "contradicted"),
        ("The creatinine, which peaked at 1.9 mg/dL, was followed.", "supported"),
        ("The creatinine, which peaked at 1.1 mg/dL, was followed.", "contradicted"),
        ("There was an upward trend in potassium.", "supported"),
        ("There was a downward trend in potassium.", "contradicted"),
        ("There is breast cancer in her mother.", "supported"),
        ("Of relevance in her past history is breast cancer.", "contradicted"),
        ("Background: T2DM.", "supported"),
        ("Nil evidence of pulmonary embolism.", "supported"),
        ("Proven pulmonary embolism.", "contradicted"),
        ("Gout is to be suspected.", "supported"),
        ("Type 2 diabetes is to be suspected.", "contradicted"),
        ("We have made no change to her metformin.", "supported"),
        ("We have made no change to her doxycycline.", "contradicted"),
        ("Do not take simvastatin for now.", "supported"),
        ("Do not take metformin for now.", "contradicted"),
        ("Doxycycline 100 mg S/C BD at discharge.", "contradicted"),
        ("Leukocytosis on the back of ceftriaxone.", "not-in-record"),
        ("Her potassium normalised.", "supported"),
        ("Her potassium never normalised.", "contradicted"),
        ("The pneumonia persisted at discharge.", "not-in-record"),
        ("Legionella antigen has not been reported.", "supported"),
        ("Legionella antigen came back negative.", "contradicted"),
        ("Ms. Doe was deemed safe for discharge home.", "supported"),
        ("Ms. Doe was discharged home and works as a teacher.", "not-in-record"),
        ("Ms. Doe was discharged home and felt much better.", "not-in-record"),
        ("She knows when to call the doctor.", "not-in-record"),
    ],
)
def test_the_meaning_counts_not_the_wording(sentence: str, label: str) -> None:
    assert check(sentence, RECORD).label == label, check(sentence, RECORD).findings
