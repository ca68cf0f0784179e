"""Withdraw a case that nobody has signed: a discharge entered in error, a test patient, a failure not worth repairing.

The event ends the case as a cancelled discharge does: timers, Tasks in the EHR and open pages follow from it.
"""

from contextlib import suppress
from functools import partial

from services.approval.operations.service import Operations
from services.approval.review import repeated
from services.approval.review.case_reader import CaseReader, current
from services.approval.review.decision_writer import DecisionWriter, cause_of
from services.approval.withdrawal import rules
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError
from shared.contracts.events import Withdrawn
from shared.contracts.steps import STEPS
from shared.runtime.authentication import Caller

STEP_CONSUMERS = frozenset(step.consumer for step in STEPS)


async def withdraw(
    operations: Operations,
    cases: CaseReader,
    decisions: DecisionWriter,
    by: Caller,
    case_id: str,
    reason: str,
    key: str | None = None,
) -> Withdrawn:
    """Withdraw the case, once; its unresolved dead letters are discarded with the same reason.

    `key` is an `Idempotency-Key`. Raises DecisionRefusedError, also where a physician signs at the same time.
    """
    history = await cases.history(case_id)
    ref, case = current(case_id, history)
    words = sha256_hex(reason.encode())
    by = await cases.authorize(ref, case, by, "withdraw")
    earlier = partial(repeated.withdrawn_earlier, by=by.actor, words=words)
    event = await decisions.find_repeated(ref, by, key, Withdrawn, lambda body: body.words == words)
    if (event := event or earlier(history)) is None:
        decide = partial(rules.withdraw, by=by.actor, words=words)
        decide(case)
        await cases.texts(ref.id, case.head.sequence).put(reason.encode())
        event = await decisions.decide(ref, case, by, "withdraw", decide, cause_of(ref, by, key), earlier)
    if any(item.name == "failed" for item in await cases.history(case_id)):
        await _discard_letters(operations, by, case_id, reason)
    return event


async def _discard_letters(operations: Operations, by: Caller, case_id: str, reason: str) -> None:
    for letter in await operations.dead_letters_of(by, case_id):
        if letter.waits and letter.consumer in STEP_CONSUMERS:
            with suppress(PermanentError):  # somebody else has resolved it in the meantime
                await operations.act(by, "discard", letter.sequence, reason, dry_run=False)
