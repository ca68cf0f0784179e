"""The EHR's inbox shows that a physician has begun to read.

Every look at a draft is on the ACCESS stream before the draft is shown; this follows it, so that no page waits for the
EHR and no look is forgotten when a process dies.
"""

import logging

from nats.aio.msg import Msg
from pydantic import ValidationError

from services.approval import domain
from services.approval.tasks import Tasks
from shared.clinical.fhir_client import PreconditionFailedError
from shared.contracts.access_log import AccessLogEntry
from shared.contracts.case import fold
from shared.contracts.errors import PermanentError, TransientError
from shared.messaging.connection import Bus
from shared.messaging.journal import Journal
from shared.messaging.steps import Steps

logger = logging.getLogger(__name__)


class Opened:
    def __init__(self, steps: Steps, tasks: Tasks) -> None:
        self._tasks = tasks
        steps.effect("approval-opened", self.on_look)

    def attach(self, bus: Bus) -> None:
        self._journal = Journal(bus, "approval")

    async def on_look(self, message: Msg) -> None:
        """Somebody looked at a draft: where it was the one who is to decide, the Task is in progress."""
        try:
            look = AccessLogEntry.model_validate_json(message.data)
        except ValidationError:
            raise PermanentError("an entry of the access log breaks the contract") from None
        case = fold(await self._journal.find(look.case_id)) if look.case_id else None
        if case is None or case.review is None or not domain.begins(case, look.role, look.detail):
            return
        try:
            await self._tasks.opened(case.review.task)
        except PreconditionFailedError:
            raise TransientError("the Task changed too often") from None
        except PermanentError as error:
            logger.warning("the EHR's Task does not show that its review was opened: %s", error.reason)
