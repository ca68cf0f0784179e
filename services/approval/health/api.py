"""REST API of the health of the installation, for operators and auditors."""

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.approval.dependencies import Api, SystemReader
from services.approval.health.checks import State
from shared.runtime.api_route import ApiRoute
from shared.runtime.dependencies import provided
from shared.runtime.health import Health
from shared.runtime.problems import problem_responses

PATIENCE_S = 10.0  # for other servers: EHR, identity provider, receiver of documents
COMMON = {
    401: "no token, or one that is not valid",
    403: "the token has neither the role operator nor auditor",
}

router = APIRouter(tags=["system"], responses=problem_responses(COMMON), route_class=ApiRoute)


class HealthCheckEntry(BaseModel):
    """The result of one check."""

    group: str = Field(
        description="what it belongs to: `server` (NATS; in a cluster with the name of the server), `streams`, "
        "`users`, `work`, `connections`, `settings`"
    )
    name: str = Field(description="what was checked, such as `durability`, `service drafter`, `dead letters`, `EHR`")
    state: State = Field(
        description="`failed`: something does not work, or is not safe. `warning`: it needs attention. `unknown`: "
        "approval cannot check it, and `action` says who can"
    )
    detail: str = Field(description="the result as words, without data of patients and without secrets")
    action: str = Field(description="what to do: a command, a setting or a page of the documentation; may be empty")
    runbook: str = Field(description="URL of the page of the documentation that explains it; empty for `ok`")


class HealthCheckList(BaseModel):
    """All checks, by groups. None is left out: what is not known has the state `unknown`."""

    checked_at: datetime = Field(
        description="when they were made; those of other servers up to 30 s earlier, of the identity provider 300 s"
    )
    items: list[HealthCheckEntry] = Field(description="the checks, in groups")


@router.get(
    "/v1/health/checks",
    summary="Health checks of the installation",
    description="What `countersign doctor` checks, as far as approval can know it: NATS, streams and consumers, work "
    "that waits, schedules, EHR, identity provider, receiver of documents, settings. It may take ten seconds, because "
    "it asks those servers. A caller of single departments gets the dead letters and documents of those. It answers "
    "200 with a failed check, too: for probes of an orchestrator there are `/healthz` and `/readyz`.",
)
async def list_health_checks(who: SystemReader, api: Api, request: Request) -> HealthCheckList:
    ready = await provided(request, Health).readiness.results()
    items = await api.health.checks(who, ready, PATIENCE_S)
    return HealthCheckList(
        checked_at=api.clock(),
        items=[
            HealthCheckEntry(
                group=item.group,
                name=item.name,
                state=item.state,
                detail=item.detail,
                action=item.action,
                runbook=item.runbook,
            )
            for item in items
        ],
    )
