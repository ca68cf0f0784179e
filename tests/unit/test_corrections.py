"""The rules after the filing: who may correct, append and retract what, against what they have seen."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.approval.corrections import rules as correction_rules
from services.approval.filing import correction_resources
from services.approval.filing.renditions import chart
from services.approval.filing.resources import chain_head_of
from services.approval.review.added_text import Statement
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.signing_rules import ResolvedItems
from services.approval.web.render import EVENT_LABELS, STATE_LABELS
from services.ingest import domain as ingest
from shared.contracts.case import CaseState, current_digest, fold
from shared.contracts.corrections import Amended, Retracted
from shared.contracts.draft import TO_BE_WRITTEN
from shared.contracts.envelope import sha256_hex
from shared.contracts.events import (
    EVENT_TYPES,
    Actor,
    Approved,
    CaseEvent,
    ConfirmedSentence,
    Failed,
    Filed,
    Resolution,
    Withdrawn,
)
from tests.support.examples import CASE, DIGEST, PHYSICIAN, SUPERVISOR, T0, draft, event
from tests.unit.test_approval import REVIEW, history
from tests.unit.test_signing_rules import DRAFT, INVENTED, OTHER, TRUE
from tests.unit.test_signing_rules import TEXT as LONG

FILED = (*REVIEW, "approved", "filed")
CORRECTED = f"{draft().text}One line more.\n"
Deed = Callable[..., Any]


def amend(*names: str | CaseEvent, seen: str | None = None, text: str = CORRECTED, by: Actor = PHYSICIAN) -> Amended:
    case = fold(history(*names))
    return correction_rules.amend(case, current_digest(case) if seen is None else seen, by, draft(), text, DIGEST)


def addend(*names: str | CaseEvent, seen: str | None = None, words: str = "The culture grew nothing.") -> Any:
    case = fold(history(*names))
    return correction_rules.addend(
        case, current_digest(case) if seen is None else seen, PHYSICIAN, draft(), words, DIGEST
    )


def ask(*names: str | CaseEvent, seen: str | None = None, by: Actor = PHYSICIAN) -> Any:
    case = fold(history(*names))
    return correction_rules.request_retraction(case, current_digest(case) if seen is None else seen, by, DIGEST)


def confirm(*names: str | CaseEvent, seen: str | None = None, by: Actor = SUPERVISOR) -> Retracted:
    case = fold(history(*names))
    return correction_rules.retract(case, current_digest(case) if seen is None else seen, by)


@pytest.mark.parametrize(
    ("past", "seen", "why"),
    [
        ((), "", "unknown"),
        (REVIEW, "", "not-filed"),
        ((*REVIEW, "approved"), None, "not-filed"),
        ((*REVIEW, "rejected", "closed"), "", "not-filed"),
        ((*FILED, "amended"), None, "not-filed"),
        ((*FILED, "retraction-requested", "retracted"), None, "not-filed"),
        ((*FILED, "retraction-requested", "retracted", "retraction-filed"), None, "not-filed"),
        (FILED, DIGEST, "changed"),
        ((*FILED, "addended", "filed"), "e" * 64, "changed"),
        ((*FILED, "amended", "filed"), "e" * 64, "changed"),
    ],
)
@pytest.mark.parametrize("deed", [amend, addend, ask, confirm])
def test_nothing_is_done_to_what_does_not_stand_as_it_was_seen(
    deed: Deed, past: tuple[str, ...], seen: str | None, why: str
) -> None:
    with pytest.raises(DecisionRefusedError) as refused:
        deed(*past, seen=seen)
    assert refused.value.code == why


def test_a_correction_replaces_the_document_that_stands() -> None:
    first = amend(*FILED)
    assert (first.number, first.replaces, first.seen) == (2, "doc-1", "e" * 64)
    assert (first.signed, first.signer) == (sha256_hex(CORRECTED.encode()), "Practitioner/dr-1")
    second = amend(*FILED, first, Filed(document_reference="doc-2", provenance="p"), text=f"{CORRECTED}More.\n")
    assert (second.number, second.replaces, second.seen) == (3, "doc-2", first.signed)
    with pytest.raises(DecisionRefusedError) as refused:
        amend(*FILED, first, "filed")
    assert refused.value.code == "unchanged"


@pytest.mark.parametrize("text", ["", "Patient: Jane Roe", draft().text.replace("Jane Roe", "John Doe"), TO_BE_WRITTEN])
def test_a_correction_is_held_to_the_rule_of_signatures(text: str) -> None:
    with pytest.raises(DecisionRefusedError) as refused:
        amend(*FILED, text=text)
    assert refused.value.code == "incomplete"


def test_what_was_confirmed_stays_confirmed_and_what_comes_back_does_not() -> None:
    approved = event("approved")
    assert isinstance(approved, Approved)
    resolutions = (Resolution(sentence=1, how="confirmed"), Resolution(sentence=2, how="removed"))
    before = approved.model_copy(
        update={"resolutions": resolutions, "written": (ConfirmedSentence(digest="w" * 64, label="not-in-record"),)}
    )
    case = fold(history(*REVIEW, before, "filed"))

    def signed(text: str, resolved: ResolvedItems = ResolvedItems(), *own: Statement) -> Amended:  # noqa: B008
        return correction_rules.amend(
            case, current_digest(case), PHYSICIAN, DRAFT, text, DIGEST, resolved=resolved, written=own
        )

    made = signed(LONG.replace(OTHER, "She walked home with help."))
    assert made.resolutions[0] == Resolution(sentence=1, how="confirmed")
    with pytest.raises(DecisionRefusedError) as refused:
        signed(f"{LONG}\n")
    assert [item.index for item in refused.value.obstacles] == [2]
    assert signed(f"{LONG}\n", ResolvedItems({2: "confirmed"})).resolutions[1].how == "confirmed"
    new = Statement("She was given digoxin.", "not-in-record")
    with pytest.raises(DecisionRefusedError):
        signed(LONG.replace(OTHER, ""), ResolvedItems(), new)
    assert signed(LONG.replace(OTHER, ""), ResolvedItems(written=frozenset({new.digest})), new).written
    assert INVENTED in LONG


def test_an_addendum_stands_under_a_patient_line_of_ours() -> None:
    made = addend(*FILED, words="  The culture grew nothing.\n\n")
    text = correction_rules.addendum(draft(), "  The culture grew nothing.\n\n")
    patient = "Patient: Jane Roe, born 1950-01-02, female, MRN 17"
    assert text == f"ADDENDUM TO DISCHARGE SUMMARY\n\n{patient}\n\nThe culture grew nothing.\n"
    assert (made.number, made.appends, made.signed) == (1, "doc-1", sha256_hex(text.encode()))
    assert addend(*FILED, made, "filed").number == 2
    assert addend(*FILED, "amended", Filed(document_reference="doc-2", provenance="p")).appends == "doc-2"


@pytest.mark.parametrize(
    "words", ["", " \n", "…", "x\n  patient : John Doe", "**Patient: John Doe**", f"x {TO_BE_WRITTEN}"]
)
def test_an_empty_or_foreign_addendum_is_refused(words: str) -> None:
    with pytest.raises(DecisionRefusedError) as refused:
        addend(*FILED, words=words)
    assert refused.value.code == "incomplete"


def test_an_addendum_says_nothing_that_nobody_has_confirmed() -> None:
    case, own = fold(history(*FILED)), Statement("She was given digoxin.", "contradicted")
    with pytest.raises(DecisionRefusedError) as refused:
        correction_rules.addend(case, current_digest(case), PHYSICIAN, draft(), own.text, DIGEST, written=(own,))
    assert [(item.field, item.digest) for item in refused.value.obstacles] == [("written", own.digest)]


def test_a_sentence_that_was_taken_out_does_not_come_back_by_an_addendum() -> None:
    case = fold(history(*FILED))

    def signed(resolved: ResolvedItems = ResolvedItems()) -> Any:  # noqa: B008
        return correction_rules.addend(
            case, current_digest(case), PHYSICIAN, DRAFT, f"Also: {INVENTED}", DIGEST, resolved=resolved
        )

    with pytest.raises(DecisionRefusedError) as refused:
        signed()
    assert [(item.field, item.index) for item in refused.value.obstacles] == [("resolutions", 1)]
    assert signed(ResolvedItems({1: "confirmed"})).resolutions == (Resolution(sentence=1, how="confirmed"),)


NUMBERS = st.sets(st.sampled_from((1, 2)))


@given(st.lists(st.tuples(st.booleans(), NUMBERS, NUMBERS), max_size=6))
def test_no_sequence_of_them_signs_a_sentence_that_nobody_has_confirmed(deeds: list[Any]) -> None:
    """`deeds`: a correction or an addendum, which unsupported sentences it has, which of them are confirmed with it.
    What was confirmed counts for as long as a text that has it stands.
    """
    past: list[str | CaseEvent] = [*FILED]
    document, added = set[int](), set[int]()
    for turn, (whole, present, confirmed) in enumerate(deeds):
        case, resolved = fold(history(*past)), ResolvedItems(dict.fromkeys(confirmed, "confirmed"))
        lines = [sentence.text for number, sentence in enumerate(DRAFT.sentences) if number == 0 or number in present]
        text = LONG[: LONG.index(TRUE)] + " ".join(lines) + f" Turn {turn}.\n" if whole else " ".join(lines)
        said = document | added
        do: Any = correction_rules.amend if whole else correction_rules.addend
        try:
            made = do(case, current_digest(case), PHYSICIAN, DRAFT, text, DIGEST, resolved=resolved)
        except DecisionRefusedError:
            assert not present <= said | confirmed
            continue
        assert present <= said | confirmed
        document, added = (present, added) if whole else (document, added | present)
        past += [made, Filed(document_reference=f"doc-{turn}", provenance="p")]


def test_a_retraction_takes_two_people() -> None:
    asked = ask(*FILED)
    with pytest.raises(DecisionRefusedError) as refused:
        ask(*FILED, asked, by=SUPERVISOR)
    assert refused.value.code == "asked"
    made = confirm(*FILED, asked)
    assert (made.requested_by, made.by, made.documents) == (PHYSICIAN, SUPERVISOR, ("doc-1",))
    assert (made.requester, made.signer) == ("Practitioner/dr-1", "Practitioner/boss")
    with pytest.raises(DecisionRefusedError) as refused:
        confirm(*FILED)
    assert refused.value.code == "not-asked"
    corrected = (*FILED, asked, "amended", Filed(document_reference="doc-2", provenance="p"))
    with pytest.raises(DecisionRefusedError) as refused:
        confirm(*corrected)
    assert refused.value.code == "not-asked", "the correction has resolved it"
    assert confirm(*corrected, ask(*corrected)).documents == ("doc-1", "doc-2")


@pytest.mark.parametrize(
    "by",
    [
        PHYSICIAN,
        PHYSICIAN.model_copy(update={"subject": "another-login", "role": "supervisor"}),
        Actor(subject="another-login", role="physician", method="token"),  # stands in for the owner, who has asked
        Actor(subject="x", role="supervisor", practitioner="Practitioner/x", npi="1245319599"),
    ],
    ids=["login", "practitioner", "signs for", "npi"],
)
def test_one_person_is_not_two(by: Actor) -> None:
    asked = ask(*FILED, by=PHYSICIAN.model_copy(update={"npi": "1245319599"}))
    with pytest.raises(DecisionRefusedError) as refused:
        confirm(*FILED, asked, by=by)
    assert refused.value.code == "same-person"


def test_documents_are_counted_over_discharges_that_were_taken_back() -> None:
    gone = (*FILED, "amended", "filed", "addended", "filed", "retraction-requested", "retracted", "retraction-filed")
    past = history(*gone, *FILED, "addended", "filed")
    case = fold(past)
    entries = (*case.earlier, *case.entries)
    assert [correction_rules.number_of(case, entry.signature) for entry in entries] == [1, 2, 1, 3, 2]
    in_error = ["entered-in-error"] * 3
    assert [correction_rules.status_of(case, entry) for entry in entries] == [*in_error, "current", "current"]
    case = fold(past[: len(gone) - 3])
    assert [correction_rules.status_of(case, entry) for entry in case.entries] == ["superseded", "current", "current"]


@pytest.mark.parametrize(
    ("past", "state", "answer"),
    [
        (FILED, "filed", "too-late"),
        ((*FILED, "amended"), "approved", "too-late"),
        ((*FILED, "retraction-requested"), "filed", "too-late"),
        ((*FILED, "retraction-requested", "retracted"), "retracted", "done"),
        ((*REVIEW, "approved", Failed(step="file", reason="no", attempts=1)), "failed", "too-late"),
        (REVIEW, "awaiting-review", None),
    ],
)
def test_a_discharge_that_is_taken_back_withdraws_nothing_that_was_signed(
    past: tuple[str | CaseEvent, ...], state: CaseState, answer: str | None
) -> None:
    assert fold(history(*past)).state == state
    found = ingest.withdraw(history(*past))
    assert isinstance(found, Withdrawn) if answer is None else found == answer


def test_a_discharge_after_a_retraction_starts_the_case_again_once_the_chart_has_it() -> None:
    retracted = (*FILED, "retraction-requested", "retracted")
    assert ingest.reopens(history(*retracted), "another")
    assert ingest.must_wait(history(*retracted))
    assert not ingest.must_wait(history(*retracted, "retraction-filed"))
    assert not ingest.reopens(history(*FILED), "another")


def test_a_retraction_that_gave_up_goes_on_as_one() -> None:
    retried = event("retried").model_copy(update={"step": "file"})
    case = fold(history(*FILED, "retraction-requested", "retracted", "failed", retried))
    assert (case.state, case.awaits) == ("retracted", "file")


def test_every_event_and_state_has_its_words() -> None:
    assert {kind.model_fields["event"].default for kind in EVENT_TYPES} == set(EVENT_LABELS)
    assert set(CaseState.__args__) == set(STATE_LABELS)  # type: ignore[attr-defined]


def test_what_is_written_into_the_chart() -> None:
    contents = chart.contents({"text/plain": b"x"}, T0)
    (decision,) = history("amended")
    assert isinstance(decision.body, Amended)
    made = correction_resources.document(decision, decision.body, 2, contents, "dev-1")
    assert made["identifier"][0]["value"] == f"{CASE.id}/final/2"
    assert (made["status"], made["docStatus"], made["relatesTo"][0]["code"]) == ("current", "amended", "replaces")
    proof = correction_resources.provenance(decision, decision.body, "doc-2", "dev-1", T0)
    assert chain_head_of(proof) == decision.head.digest
    ids = {
        correction_resources.id_of(CASE, body, number)  # type: ignore[arg-type]
        for body, number in (
            (event("approved"), 1),
            (event("amended"), 2),
            (event("addended"), 1),
            (event("addended"), 2),
        )
    }
    assert len(ids) == 4
    (taken_back,) = history("retracted")
    assert isinstance(taken_back.body, Retracted)
    proof = correction_resources.retraction(taken_back, taken_back.body, T0)
    assert [agent["who"]["reference"] for agent in proof["agent"]] == ["Practitioner/dr-1", "Practitioner/boss"]
