"""Set the review Task to `in-progress` once a physician views the draft.

Each view is in the access log before the draft is shown. This handler consumes the log, so that no page waits for the
EHR and no view is lost when a process ends.
"""

import logging

from nats.aio.msg import Msg
from pydantic import ValidationError

from services.approval import domain
from services.approval.ehr_tasks.tasks import ReviewTasks
from shared.clinical.fhir_client import PreconditionFailedError
from shared.contracts.access_log import AccessLogEntry
from shared.contracts.case import fold
from shared.contracts.errors import PermanentError, TransientError
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore

logger = logging.getLogger(__name__)


class ReviewStartedHandler:
    def __init__(self, bus: NatsConnection, tasks: ReviewTasks) -> None:
        self._tasks = tasks
        self._event_store = EventStore(bus, "approval")

    async def on_draft_viewed(self, message: Msg) -> None:
        """Handle a view of a draft: the Task is in progress where the viewer is the one who decides."""
        try:
            entry = AccessLogEntry.model_validate_json(message.data)
        except ValidationError:
            raise PermanentError("an entry of the access log breaks the contract") from None
        case = fold(await self._event_store.find(entry.case_id)) if entry.case_id else None
        if case is None or case.review is None or not domain.starts_review(case, entry.role, entry.detail):
            return
        try:
            await self._tasks.mark_in_progress(case.review.task)
        except PreconditionFailedError:
            raise TransientError("the Task changed too often") from None
        except PermanentError as error:
            logger.warning("the EHR's Task does not show that its review was opened: %s", error.reason)
