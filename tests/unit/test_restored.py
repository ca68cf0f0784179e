"""After a restore: of which cases the chart may have more, by the events and signed checkpoints alone."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cli.reimport.unreadable import UNKNOWN, LostHead, lost_heads, unreadable
from services.approval.filing.basic_search import is_marked
from services.approval.filing.last_restore import MAY_BE_FILED, RestoreRecord, doubt_after_restore
from services.approval.reimport.lost_events import LostEvent
from services.approval.reimport.plan import event_id
from services.approval.reimport.plans import can_be_read
from shared.contracts.authorship import authorship_line
from shared.contracts.case import restored_event
from shared.contracts.checkpoint import CaseHead, next_checkpoint, sign
from shared.contracts.errors import PermanentError
from shared.contracts.events import Approved, Failed, Filed, Reimported, Retried, WriteBackProfile
from shared.messaging.checkpoints import Folder
from tests.support.examples import PHYSICIAN, STAY, T0, event
from tests.unit.test_approval import REVIEW, history

HELD = Failed(step="file", reason=f"a backup of 2026-11-29 02:00 UTC {MAY_BE_FILED}. Look", attempts=1)
REFUSED = Failed(step="file", reason="the HL7v2 receiver refused the document (AE)", attempts=1)
RELEASED = event("retried")
FILED_BY_HAND = Filed(document_reference="d", provenance="", profile="none", by=PHYSICIAN)
BEFORE = STAY.model_copy(update={"end": T0 - timedelta(days=1)})
AFTER = STAY.model_copy(update={"end": T0 + timedelta(days=1)})
SIGNED = (*REVIEW, "approved")


def restored(last: int) -> RestoreRecord:
    return RestoreRecord(backup="b", backed_up=T0 - timedelta(hours=8), at=T0, last=last)


def retried(step: str) -> Retried:
    assert isinstance(RELEASED, Retried)
    return RELEASED.model_copy(update={"step": step})


def test_without_a_restore_nothing_is_in_doubt() -> None:
    assert doubt_after_restore(None, history(*SIGNED), BEFORE) == ""


def test_a_case_of_the_backup_is_in_doubt_whatever_its_stay() -> None:
    assert "was restored" in doubt_after_restore(restored(last=4), history(*SIGNED), AFTER)


def test_a_case_that_was_opened_again_since_is_in_doubt_if_its_stay_had_ended_before() -> None:
    assert doubt_after_restore(restored(last=0), history(*SIGNED), BEFORE)
    assert doubt_after_restore(restored(last=0), history("discharged"), None), "its stay is not known yet"
    assert not doubt_after_restore(restored(last=0), history(*SIGNED), AFTER)


@pytest.mark.parametrize(
    ("since", "checked"),
    [
        ((), False),
        ((HELD,), False),
        ((retried("file"),), False),  # before anybody was told why
        ((HELD, retried("file")), True),
        ((Failed(step="draft", reason="x", attempts=1), retried("draft")), False),
        ((REFUSED, retried("file")), False),
        ((REFUSED, retried("file"), HELD, retried("file")), True),
        (("filed",), False),  # the receiver had accepted it before the backup: nobody has looked
        ((FILED_BY_HAND,), True),
        (("reimported",), True),
    ],
)
def test_it_is_in_doubt_until_a_person_has_looked(since: tuple[object, ...], *, checked: bool) -> None:
    past = history(*SIGNED, *since)  # type: ignore[arg-type]
    assert bool(doubt_after_restore(restored(last=len(SIGNED)), past, BEFORE)) is not checked


def test_what_was_released_before_the_backup_is_in_doubt_again() -> None:
    past = history(*SIGNED, HELD, retried("file"))  # type: ignore[arg-type]
    assert doubt_after_restore(restored(last=len(past)), past, BEFORE)


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (f"DISCHARGE SUMMARY\n\n{authorship_line('model')}\n", True),
        (f"<p>words</p><p>{authorship_line('none', changed=True)}</p>", True),
        ("ADDENDUM TO DISCHARGE SUMMARY\n\nwords\n", True),
        ("Discharge summary\n\nReviewed by a physician.\n", False),
    ],
)
def test_a_text_says_itself_whether_it_is_ours(text: str, *, ours: bool) -> None:
    assert is_marked(text) is ours


def test_an_open_case_is_named_and_an_ended_one_if_a_checkpoint_proves_more() -> None:
    open_case, ended = history(*REVIEW), history(*SIGNED, "filed")
    more = LostHead("f" * 64, T0)
    assert unreadable("c", open_case, restored(last=4), None)
    assert unreadable("c", ended, restored(last=6), None) is None
    found = unreadable("c", ended, restored(last=6), more)
    assert found is not None
    assert (found.state, found.proven) == ("filed", T0)
    same = LostHead(ended[-1].head.digest, T0)
    assert unreadable("c", ended, restored(last=6), same) is None, "it has the head that was signed"
    unknown = unreadable("c", [], restored(last=6), more)
    assert unknown is not None
    assert (unknown.state, "reported again" in unknown.words) == (UNKNOWN, True)


@pytest.mark.parametrize(
    ("profile", "known", "readable"),
    [
        ("fhir", True, True),
        ("fhir", False, True),
        ("fhir-basic", True, True),
        ("fhir-basic", False, False),  # it finds documents by the stay, which nothing names
        ("mdm", True, False),
        ("none", False, False),
    ],
)
def test_whether_the_chart_can_be_asked(profile: WriteBackProfile, *, known: bool, readable: bool) -> None:
    assert can_be_read(profile, history(*SIGNED) if known else []) is readable


def test_a_case_goes_the_way_of_its_document() -> None:
    filed = Filed(document_reference="d", provenance="", profile="mdm", message="m")
    assert not can_be_read("fhir", history(*SIGNED, filed))


def test_heads_of_checkpoints_from_after_the_backup(tmp_path: Path) -> None:
    key, other, public = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), tmp_path / "key.pub"
    folder = Folder(tmp_path)
    before = None
    for number, signer in enumerate((key, key, key)):
        heads = [CaseHead("a", number, f"{number}"), CaseHead(f"only-{number}", number, "x")]
        time = T0 + timedelta(hours=number)
        before = sign(next_checkpoint(before, heads, time=time, last=number, access=(0, "")), signer)
        folder.add(before, heads)
    for signer in (key, other):
        public.write_bytes(signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        if signer is other:
            with pytest.raises(PermanentError, match="not signed by this key"):
                lost_heads(tmp_path, public, T0)
        else:
            assert lost_heads(tmp_path, public, T0) == {
                "a": LostHead("2", T0 + timedelta(hours=2)),
                "only-1": LostHead("x", T0 + timedelta(hours=1)),
                "only-2": LostHead("x", T0 + timedelta(hours=2)),
            }


def test_what_is_taken_over_without_a_provenance_has_the_digest_of_its_own_event() -> None:
    body = event("reimported")
    assert isinstance(body, Reimported)
    (recorded,) = history(body.model_copy(update={"chain_head": ""}))
    assert restored_event(recorded).head == recorded.head
    signature = event("approved")
    assert isinstance(signature, Approved)
    ids = [
        event_id(LostEvent(signature, T0, "", Filed(document_reference=id, provenance=""), None, None))
        for id in ("d1", "d1", "d2")
    ]
    assert ids[0] == ids[1] != ids[2]
