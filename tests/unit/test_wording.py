"""What a department wants to be written: read, bounded, and no source of facts."""

from pathlib import Path

import pytest

from services.drafter.policy import choose_narrative
from services.drafter.wording import Departments, Length, Wording, read_departments
from services.drafter.writing import check_narratives
from shared.contracts.context import ContextEntry, EncounterContext, Patient
from shared.contracts.errors import PermanentError
from tests.support.examples import T0

KINDS = ("discharge-summary", "transfer-summary")
FILE = """\
[[wording]]
kinds = ["transfer-summary"]
instructions = "Say first what the next team has to do."

[[wording]]
instructions = '''
Name the ejection fraction first.
Facts: none.
'''
examples = ["She was admitted with chest pain. Her ejection fraction was 35 %.", "He went home after two days."]
length = [{ days = 2, words = 80 }, { days = 7, words = 150 }, { words = 250 }]
"""
CONTEXT = EncounterContext(
    encounter="Encounter/e1",
    encounter_status="finished",
    kind="discharge-summary",
    patient=Patient(source="Patient/p1", name="Robin Example"),
    end=T0,
    reasons=(ContextEntry(text="Pneumonia", source="Condition/c1"),),
)


def department(folder: Path, text: str = FILE, name: str = "cardiology") -> Path:
    (folder / f"{name}.toml").write_text(text)
    return folder


def test_the_first_wording_that_holds_for_the_kind_counts(tmp_path: Path) -> None:
    found = read_departments(department(tmp_path), KINDS)
    transfer, other = found.of("cardiology", "transfer-summary"), found.of("cardiology", "discharge-summary")
    assert transfer is not None
    assert other is not None
    assert "next team" in transfer.lines(3)
    assert "ejection fraction first. Facts: none." in other.lines(3)
    assert found.of("surgery", "discharge-summary") is None
    assert transfer.digest != other.digest


def test_the_default_holds_for_departments_without_a_file(tmp_path: Path) -> None:
    department(tmp_path)
    department(tmp_path, '[[wording]]\ninstructions = "Be short."\n', "default")
    found = read_departments(tmp_path, KINDS)
    assert "Be short." in getattr(found.of("surgery", "discharge-summary"), "instructions", "")
    assert "ejection" in getattr(found.of("cardiology", "discharge-summary"), "instructions", "")
    assert Departments().of("surgery", "discharge-summary") is None


@pytest.mark.parametrize(
    ("days", "words"), [(1, 80), (2, 80), (3, 150), (7, 150), (8, 250), (400, 250), (None, None)], ids=str
)
def test_the_length_goes_by_the_length_of_the_stay(tmp_path: Path, days: int | None, words: int | None) -> None:
    wording = read_departments(department(tmp_path), KINDS).of("cardiology", "discharge-summary")
    assert wording is not None
    assert wording.max_words(days) == words
    assert (f"about {words} words" in wording.lines(days)) is (words is not None)


def test_without_a_length_for_longer_stays_nothing_is_said_of_them() -> None:
    wording = Wording(length=(Length(days=2, words=80),))
    assert (wording.max_words(2), wording.max_words(3)) == (80, None)


@pytest.mark.parametrize(
    ("text", "name", "complaint"),
    [
        (FILE.replace("transfer-summary", "letter"), "cardiology", "there is no kind letter"),
        (FILE.replace("days = 7", "days = 1"), "cardiology", "from the shortest stay"),
        (FILE.replace("words = 80", "words = 8000"), "cardiology", "wording.1.length.0.words"),
        (FILE.replace("instructions", "orders"), "cardiology", "is not known here"),
        (FILE.replace("two days", "two days" * 200), "cardiology", "wording.1.examples.1"),
        (FILE.replace('["She', '["A.", "B.", "She'), "cardiology", "wording.1.examples"),
        ("[wording", "cardiology", "is not TOML"),
        ("", "cardiology", "wording: is missing"),
        (FILE, "Cardiology!", "the file name is not a department"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, name: str, complaint: str) -> None:
    with pytest.raises(PermanentError) as refused:
        read_departments(department(tmp_path, text, name), KINDS)
    assert complaint in refused.value.reason
    assert f"{name}.toml" in refused.value.reason


def test_the_wording_that_the_documentation_shows_can_be_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/how-to/document-kinds.md").read_text()
    shown = text.split("```toml")[2].split("```")[0]
    wording = read_departments(department(tmp_path, shown), KINDS).of("cardiology", "discharge-summary")
    assert wording is not None
    assert (wording.max_words(1), len(wording.examples)) == (80, 2)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="is not a folder"):
        read_departments(tmp_path / "absent", KINDS)


@pytest.mark.parametrize("policy", ["strict", "marked"])
def test_a_sentence_of_an_example_never_reaches_the_document_as_a_fact(tmp_path: Path, policy: str) -> None:
    """A small model copies what it is shown. What it copied is about nobody, unless the record says the same."""
    wording = read_departments(department(tmp_path), KINDS).of("cardiology", "discharge-summary")
    assert wording is not None
    copied = "Her ejection fraction was 35  %."
    own = check_narratives({"hospital-course": f"{copied} The patient took part in a study."}, CONTEXT)
    assert all(not sentence.supported for sentence in own), "no sentence of it is in the record"
    kept, dropped = wording.without_copies(own)
    chosen = choose_narrative((), kept, policy)  # type: ignore[arg-type]
    assert dropped == 1
    assert not any("ejection" in sentence.text for sentence in chosen.sentences)
    study = [sentence for sentence in chosen.sentences if "study" in sentence.text]
    assert len(study) == (policy == "marked")
    assert not any(sentence.supported for sentence in study), "what stands there waits for the physician's word"


def test_an_example_that_the_record_supports_stays(tmp_path: Path) -> None:
    wording = Wording(examples=("The patient was admitted with pneumonia.",))
    own = check_narratives({"hospital-course": "The patient was admitted with pneumonia."}, CONTEXT)
    assert [sentence.supported for sentence in own] == [True]
    assert wording.without_copies(own) == (own, 0)
