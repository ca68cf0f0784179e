"""What is answered, in which mode, and what a message is taken for."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.hl7.receive import FrameOutcome
from services.ingest.hl7.sender import Sender, Senders
from shared.hl7.mllp import MAX_FRAME_BYTES, frame
from tests.support.hl7 import NOW, adt, framed, received, sender


def one(data: bytes, of: Sender | None = None) -> FrameOutcome:
    (found,) = received(data, of or sender())
    return found


def answer(data: bytes, of: Sender | None = None) -> str:
    return (one(data, of).answer(lambda: "own-1", NOW) or b"").decode("latin-1")


@pytest.mark.parametrize(
    ("accept", "application", "good", "bad"),
    [
        ("", "", "AA", "AE"),
        ("AL", "", "CA", "CE"),
        ("AL", "AL", "CA", "CE"),
        ("AL", "NE", "CA", "CE"),
        ("SU", "NE", "CA", None),
        ("ER", "NE", None, "CE"),
        ("NE", "AL", "AA", "AE"),
        ("NE", "", "AA", "AE"),
        ("", "AL", "AA", "AE"),
        ("", "SU", "AA", None),
        ("", "ER", None, "AE"),
        ("", "NE", "AA", "AE"),
        ("NE", "NE", None, None),
        ("XX", "", "AA", "AE"),
    ],
)
def test_modes(accept: str, application: str, good: str | None, bad: str | None) -> None:
    assert one(framed(MSH_15=accept, MSH_16=application)).code == good
    assert one(framed(MSH_15=accept, MSH_16=application, PV1_19="")).code == bad


@pytest.mark.parametrize(
    ("fields", "code", "err"),
    [
        ({"MSH_9": "ORU^R01"}, "AR", "ERR||MSH^1^9|200|E"),
        ({"MSH_9": ""}, "AR", "ERR||MSH^1^9|200|E"),
        ({"MSH_11": "T"}, "AR", "ERR||MSH^1^11|202|E"),
        ({"MSH_11": "D^A"}, "AR", "ERR||MSH^1^11|202|E"),
        ({"MSH_12": "3.0"}, "AR", ""),
        ({"MSH_10": ""}, "AE", "ERR||MSH^1^10|101|E"),
        ({"PV1_19": ""}, "AE", "ERR||PV1^1^19|101|E"),
        ({"PV1_19": '""'}, "AE", "ERR||PV1^1^19|101|E"),
        ({"PV1_19": "9" * 201}, "AE", "ERR||PV1^1^19|102|E"),
        ({"MSH_9": "ADT", "EVN_1": ""}, "AE", "ERR||MSH^1^9|101|E"),
        ({"PV1_19": "", "MSH_12": "2.3"}, "AE", "ERR|PV1^1^19^101"),
        ({"MSH_3": "OTHER"}, "AR", "ERR||MSH^1^3|103|E"),
    ],
)
def test_refusals(fields: dict[str, str], code: str, err: str) -> None:
    said = answer(framed(**fields), sender(applications=("HUB",)))
    assert f"MSA|{code}|" in said
    assert f"\r{err}" in said


@pytest.mark.parametrize(
    ("fields", "effect"),
    [
        ({}, "opens"),
        ({"PV1_2": "B"}, "opens"),
        ({"PV1_2": "i"}, "opens"),
        ({"PV1_2": ""}, "opens"),  # the Encounter says the class
        ({"PV1_2": "INPATIENT"}, "opens"),  # a value of the site's own: the Encounter says the class
        ({"PV1_2": "O"}, "ignored"),
        ({"PV1_2": "O", "PV1_19": ""}, "ignored"),
        ({"MSH_9": "ADT", "EVN_1": "A03"}, "opens"),
        ({"MSH_9": "ADT^A03^ADT_A99"}, "opens"),
        ({"MSH_9": "ADT^A13"}, "withdraws"),
        ({"MSH_9": "ADT^A13", "PV1_2": "O"}, "withdraws"),
        ({"MSH_9": "ADT^A11"}, "withdraws"),
        ({"MSH_9": "ADT^A23"}, "withdraws"),
        *(({"MSH_9": f"ADT^{event}"}, "ignored") for event in ("A01", "A08", "A12", "A16", "A25", "A52", "A99", "Q01")),
        ({"MSH_9": "ADT^A40", "MRG_1": "OLD^^^HOSP^MR"}, "merges"),
        ({"MSH_9": "ADT^A40", "MRG_1": "OLD^^^HOSP"}, "merges"),
        ({"MSH_9": "ADT^A40", "MRG_1": "OLD^^^OTHER^MR"}, "ignored"),
        ({"MSH_11": ""}, "opens"),
        ({"MSH_12": ""}, "opens"),
        ({"MSH_12": "2.9"}, "opens"),
    ],
)
def test_effects(fields: dict[str, str], effect: str) -> None:
    found = one(framed(**fields))
    assert (found.assessment.effect, found.code) == (effect, "AA")
    assert (found.assessment.fact is not None) == (effect != "ignored")


@pytest.mark.parametrize(("patient_class", "inpatient"), [("I", True), ("", None), ("INPATIENT", None), ("IP", True)])
def test_the_encounter_is_asked_for_a_class_that_says_nothing(patient_class: str, inpatient: bool | None) -> None:
    (found,) = received(framed(PV1_2=patient_class), sender(classes=("I", "ip")))
    assert found.assessment.fact is not None
    assert found.assessment.fact.inpatient is inpatient


def test_the_patient_is_checked_by_the_types_of_the_site() -> None:
    message = framed(PID_3="MRN-1^^^HOSP^AMRN~77^^^HOSP^PI")
    (unchecked,) = received(message, sender())
    (found,) = received(message, sender(mrn_types=("AMRN",)))
    assert unchecked.assessment.fact is not None
    assert found.assessment.fact is not None
    assert (len(unchecked.assessment.fact.patients), len(found.assessment.fact.patients)) == (0, 1)


@pytest.mark.parametrize(
    ("fields", "effect"),
    [
        ({"MSH_9": "ADT^A16"}, "prepares"),
        ({"MSH_9": "ADT^A16", "PV1_2": "O"}, "ignored"),
        ({"MSH_9": "ADT^A25"}, "ends-preparation"),
        ({"MSH_9": "ADT^A03"}, "opens"),
    ],
)
def test_pending_discharges_of_a_sender_that_prepares(fields: dict[str, str], effect: str) -> None:
    (found,) = received(framed(**fields, EVN_3="20260627100000"), sender(prepare_on_pending=True))
    assert (found.assessment.effect, found.code) == (effect, "AA")
    expected = found.assessment.fact and found.assessment.fact.expected_at
    assert (expected is not None) == (effect == "prepares")


@pytest.mark.parametrize("fields", [{"MSH_9": "ACK^A03^ACK"}, {"MSH_9": "ADR^A19", "MSA_1": "AA"}, {"MSH_9": "MCF"}])
def test_answers_and_empty_frames_are_never_answered(fields: dict[str, str]) -> None:
    assert one(framed(**fields)).code is None
    assert one(frame(b"\r\n")).code is None


def test_the_answer_is_the_senders_own_header_turned_round() -> None:
    fields = {
        "MSH_3": "A&1.2^x",
        "MSH_4": "B",
        "MSH_5": "C",
        "MSH_6": "D",
        "MSH_10": "id^1",
        "MSH_11": "P^T",
        "MSH_18": "UNICODE UTF-8",
    }
    assert answer(framed(**fields)) == (
        "MSH|^~\\&|C|D|A&1.2^x|B|20261128060000||ACK^A03^ACK|own-1|P^T|2.5.1||||||UNICODE UTF-8\rMSA|AA|id^1\r"
    )
    assert "||ACK|own-1|" in answer(framed(MSH_12="2.3"))
    own = adt().replace(b"|", b"$").replace(b"^", b"%").replace(b"~", b"*")
    assert answer(frame(own)).startswith("MSH$%*\\&$CS$MAIN$HUB$MAIN$")
    assert "$ACK%A03%ACK$" in answer(frame(own))


def test_an_answer_contains_no_value_of_the_patient() -> None:
    said = answer(framed(PV1_19="", PID_3="SECRET-1^^^HOSP^MR", PID_5="SECRET-2^Name", MSH_12="2.3"))
    assert "AE" in said
    assert "SECRET" not in said


def test_what_cannot_be_read_whole_is_rejected() -> None:
    large = frame(adt() + b"OBX|" + b"x" * MAX_FRAME_BYTES + b"\r")
    assert "MSA|AR|1" in answer(large)
    assert "|207|E" in answer(large)
    for codec in ("utf-16-le", "utf-16-be", "utf-16"):
        assert "MSA|AR|1" in answer(frame(adt().decode().encode(codec)))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"PV1_45": "20260626041200~20260626051200"}, "2026-06-26T10:12:00"),
        ({"PV1_45": "20260626041200", "MSH_7": "20260626041607+0000"}, "2026-06-26T04:12:00"),
        ({"PV1_45": '""', "EVN_6": "20260626040000"}, "2026-06-26T09:00:00"),
        ({"PV1_45": ""}, "2026-06-26T09:16:00"),
        ({"PV1_45": "", "EVN_2": ""}, "2026-06-26T09:16:07"),
        ({"PV1_45": "20260626"}, None),  # the Encounter's own end
        ({"PV1_45": "20260626", "EVN_6": "20260626040000"}, "2026-06-26T09:00:00"),
    ],
)
def test_when_the_discharge_happened(fields: dict[str, str], expected: str | None) -> None:
    fact = one(framed(**fields)).assessment.fact
    assert fact is not None
    assert fact.occurred_at == (expected and datetime.fromisoformat(expected).replace(tzinfo=UTC))


def key(**fields: str) -> str:
    fact = one(framed(**fields)).assessment.fact
    assert fact is not None
    return fact.key


def test_the_same_fact_is_visit_event_evn_2_and_pv1_45() -> None:
    same: list[dict[str, str]] = [
        {"MSH_7": "20260627000000", "MSH_10": "2", "PID_5": "Other"},
        {"EVN_2": "20260626041600-0500"},
        {"MSH_3": "ELSEWHERE"},
    ]
    other: list[dict[str, str]] = [
        {"PV1_19": "V-2"},
        {"EVN_2": "20260626041700"},
        {"PV1_45": "20260626041300"},
        {"MSH_9": "ADT^A13"},
    ]
    assert {key(**fields) for fields in same} == {key()}
    assert len({key(), *(key(**fields) for fields in other)}) == 5
    assert key(EVN_2="", PV1_45="") != key(EVN_2="", PV1_45="", MSH_7="20260627000000")


def test_site_settings() -> None:
    site: dict[str, Any] = {
        "visit_fields": ("PV1-50", "PV1-19"),
        "visit_systems": {"PV1-50": "urn:alternate"},
        "departments": {"4E": "cardiology"},
        "practitioner_system": "urn:npi",
        "practitioner_authority": "NPI",
        "died": ("EXP",),
    }
    fields = {
        "PV1_50": "ALT",
        "PV1_10": "MED",
        "PV1_3": "4E^02",
        "PV1_36": "EXP",
        "PV1_7": "D1^A^B^^^^^^LOC~199^A^B^^^^^^NPI",
    }
    found = one(framed(**fields), sender(**site)).assessment
    assert found.fact is not None
    assert found.fact.visit is not None
    assert found.fact.attending is not None
    assert (found.fact.visit.system, found.fact.visit.value) == ("urn:alternate", "ALT")
    assert (found.fact.attending.system, found.fact.attending.value) == ("urn:npi", "199")
    assert (found.fact.department, found.died) == ("cardiology", True)


def test_senders_are_told_apart_by_peer_then_by_application_and_facility() -> None:
    one, two = sender(name="one", peers=("10.0.0.0/8",)), sender(name="two", peers=("10.1.0.0/16", "::1"))
    known = Senders(senders=(one, two))
    assert known.from_peer("10.1.2.3") == (one, two)
    assert known.from_peer("::ffff:10.2.2.3") == (one,)
    assert known.from_peer("192.0.2.1") == ()
    assert sender(facilities=("MAIN",)).takes_origin("any", "MAIN")
    assert not sender(facilities=("MAIN",)).takes_origin("any", "OTHER")
