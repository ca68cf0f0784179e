"""A clinician at work in the EHR's own inbox: changes a Task as the EHR's screens would, under If-Match."""

from typing import Any

from sandbox_ehr.app import Sandbox
from sandbox_ehr.notifications import SubscriptionNotifier
from services.approval.filing.resources import business_status
from shared.clinical.fhir_client import FhirClient, PreconditionFailedError, etag_of
from tests.support.ehr import client
from tests.support.stack import Stack

TRIES = 5


def subscribe(stack: Stack) -> SubscriptionNotifier:
    """Let the sandbox tell the stack of every Task that has ended."""
    subscriber = SubscriptionNotifier(stack.http, "/v1/fhir/notifications", stack.server.secrets.tokens["ingest"])
    stack.ehr.subscriber = subscriber
    return subscriber


def open_task(ehr: Sandbox) -> dict[str, Any]:
    """The one Task that waits."""
    tasks = ehr.store.candidates("Task", None, None)
    (found,) = [task for task in tasks if task["status"] in ("requested", "in-progress")]
    return found


async def answer(ehr: Sandbox, task: str, status: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    """Give the Task another status, with an outcome if `code` says one."""
    changes = {"status": status} | ({"businessStatus": business_status(code)} if code else {}) | more
    fhir: FhirClient = client(ehr)
    for _ in range(TRIES):
        found = await fhir.read("Task", task)
        try:
            return await fhir.update(found | changes, if_match=etag_of(found))
        except PreconditionFailedError:
            continue
    raise AssertionError("the Task changes all the time")
