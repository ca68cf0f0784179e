"""All services in this process on a real nats-server, with the sandbox EHR and a scripted generator."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from cli.stack.secrets import write_tokens
from cli.stack.triton import EMBEDDER
from sandbox_ehr.app import Sandbox
from services.approval.main import build as build_approval
from services.approval.settings import ApprovalSettings
from services.drafter.main import build as build_drafter
from services.drafter.settings import DrafterSettings
from services.embedder.main import build as build_embedder
from services.embedder.settings import EmbedderSettings
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from services.ingest.main import build as build_ingest
from services.ingest.settings import IngestSettings
from shared.knowledge.vector_store import VectorStore
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore
from shared.runtime.service import Service, create_app
from shared.runtime.settings import KnowledgeSettings
from tests.support.ehr import client, stays
from tests.support.embedder import HashEmbedder
from tests.support.generator import ScriptedGenerator
from tests.support.physician import approval_body, unconfirmed_sentences
from tests.support.server import NatsServer
from tests.support.service_settings import make_settings

NEVER = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))
PATIENCE = 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S, GROWTH = 0.01, 0.1, 1.3  # between two checks of a condition


@dataclass(frozen=True, slots=True)
class EvaluatorParts:
    """What the evaluator and the embedder of a stack work with.

    `approval_url` is asked who a session belongs to; `file` declares the knowledge base.
    """

    base: VectorStore
    approval_url: str = ""
    file: Path | None = None


async def until(condition: Callable[[], Awaitable[Any]], what: str, patience: float = PATIENCE) -> Any:
    """Wait for `condition` to be true; returns its value.

    The pauses grow: a check costs processor time, mostly of the same process that the test waits for.
    """
    deadline, pause = time.monotonic() + patience, FIRST_PAUSE_S
    while not (value := await condition()):
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        await asyncio.sleep(pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE_S)
    return value


class Stack:
    """The running services as tests see them."""

    def __init__(self, server: NatsServer, app: FastAPI, ehr: Sandbox, generator: ScriptedGenerator) -> None:
        self.server = server
        self.app = app
        self.ehr = ehr
        self.generator = generator
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://countersign.test")

    async def call(self, role: str, method: str, path: str, **sent: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.server.secrets.tokens[role]}"} | sent.pop("headers", {})
        return await self.http.request(method, path, headers=headers, **sent)

    async def discharge(self, encounter: str | None = None, **more: Any) -> str:
        """Report a discharge, as often as a busy machine asks for it; returns the case id."""
        sent = {"encounter_id": encounter or stays(self.ehr.style)[0], "department": "internal-medicine"} | more
        for _ in range(3):
            response = await self.call("ingest", "POST", "/v1/encounters/discharged", json=sent)
            if response.status_code != 503:
                break
        assert response.status_code == 202, response.text
        return str(response.json()["case_id"])

    async def case(self, case_id: str) -> dict[str, Any]:
        response = await self.call("auditor", "GET", f"/v1/cases/{case_id}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def events(self, case_id: str) -> list[str]:
        return [event["event"] for event in (await self.case(case_id))["events"]]

    async def reaches(self, case_id: str, state: str, events: int = 0) -> dict[str, Any]:
        """Wait until the case is in `state` and has at least `events` events."""

        async def there() -> dict[str, Any] | None:
            case = await self.case(case_id)
            return case if case["state"] == state and len(case["events"]) >= events else None

        found: dict[str, Any] = await until(there, f"{case_id} to be {state}")
        return found

    async def review(self, case_id: str) -> dict[str, Any]:
        response = await self.call("physician", "GET", f"/v1/reviews/{case_id}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def decide(self, case_id: str, decision: str, role: str = "physician", **body: Any) -> httpx.Response:
        """Approve, reject or reassign what is under review now; an approval settles what `body` does not."""
        draft = (await self.review(case_id))["draft"]
        headers = {"If-Match": f'"{draft["digest"]}"'}
        body = approval_body(draft) | body if decision == "approve" else body
        path = f"/v1/reviews/{case_id}/{decision}"
        answer = await self.call(role, "POST", path, headers=headers, json=body or None)
        if "written" not in body and (own := unconfirmed_sentences(answer)):
            answer = await self.call(role, "POST", path, headers=headers, json=body | {"written": own})
        return answer

    async def text(self, case_id: str) -> str:
        """Of the draft under review."""
        return str((await self.review(case_id))["draft"]["text"])

    def in_chart(self, type: str) -> list[dict[str, Any]]:
        """What stands in the EHR."""
        return list(self.ehr.store.candidates(type, None, None))

    async def journal(self) -> tuple[NatsConnection, EventStore]:
        bus = await self.server.connect("auditor")
        return bus, EventStore(bus, "auditor")


def build_services(
    server: NatsServer,
    ehr: Sandbox,
    generator: ScriptedGenerator,
    escalate_after: tuple[timedelta, ...] = NEVER,
    supervisors: dict[str, str] | None = None,
    **approving: Any,
) -> list[Service]:
    tokens = server.directory / "tokens.json"
    write_tokens(tokens, server.secrets.tokens)

    def common(service: str) -> dict[str, Any]:
        return {
            "nats_url": server.url,
            "nats_ca_file": server.ca_file,
            "nats_monitor_url": f"http://127.0.0.1:{server.ports.monitor}",
            "nats_seed": SecretStr(server.secrets.seeds[service]),
            "tokens_file": tokens,
            "organization": "test",
        }

    people, policy = approving.pop("people", ()), approving.pop("narrative_policy", "strict")
    of_drafter = ("document_kinds", "department_wording", "generation", "triton")
    drafting = {name: approving.pop(name) for name in of_drafter if name in approving}
    base, connect = approving.pop("base", None), approving.pop("connect", client)
    of_ingest = {name: approving.pop(name) for name in ("hl7", "fhir") if name in approving}
    evaluator: EvaluatorParts | None = approving.pop("evaluator", None)
    if evaluator is not None:
        of_ingest["knowledge"] = _knowledge_settings(evaluator)
    approving.setdefault("public_url", "https://countersign.test")
    clock = {"clock": approving.pop("clock")} if "clock" in approving else {}
    approval = make_settings(
        ApprovalSettings,
        **common("approval"),
        escalate_after=escalate_after,
        supervisors=supervisors or {"*": "Practitioner/boss"},
        **approving,
    )
    return [
        build_ingest(make_settings(IngestSettings, **common("ingest"), **of_ingest), ehr=client(ehr)),
        build_drafter(
            make_settings(DrafterSettings, **common("drafter"), **drafting, narrative_policy=policy),
            ehr=connect(ehr),
            generator=generator,
            embedder=HashEmbedder(),
            base=base,
        ),
        build_approval(approval, ehr=connect(ehr), people=people, **clock),
        *(_evaluator_and_embedder(evaluator, common, approval.public_url) if evaluator is not None else ()),
    ]


def _knowledge_settings(parts: EvaluatorParts) -> KnowledgeSettings:
    uploads = parts.file.parent / "uploads" if parts.file is not None else None
    return KnowledgeSettings(file=parts.file, tokenizer=EMBEDDER / "tokenizer.json", uploads=uploads)


def _evaluator_and_embedder(
    parts: EvaluatorParts, common: Callable[[str], dict[str, Any]], public_url: str
) -> list[Service]:
    embedder, knowledge = HashEmbedder(), _knowledge_settings(parts)
    evaluating = make_settings(
        EvaluatorSettings,
        **common("evaluator"),
        knowledge=knowledge,
        public_url=public_url,
        approval_url=parts.approval_url,
    )
    embedding = make_settings(EmbedderSettings, **common("embedder"), knowledge=knowledge)
    return [
        build_embedder(embedding, embedder=embedder, base=parts.base),
        build_evaluator(evaluating, embedder=embedder, base=parts.base),
    ]


@asynccontextmanager
async def running(
    server: NatsServer,
    ehr: Sandbox,
    escalate_after: tuple[timedelta, ...] = NEVER,
    generator: ScriptedGenerator | None = None,
    **approving: Any,
) -> AsyncIterator[Stack]:
    """The services on a server that is provisioned already. `approving`: settings, `people` and `clock` of approval;
    `narrative_policy`, `document_kinds`, `department_wording`, `generation`, `triton` and `base` of the drafter;
    `connect` makes a client of `ehr`; `hl7` and `fhir` of ingest; `evaluator` adds it, and the embedder.
    """
    generator = generator or ScriptedGenerator()
    app = create_app(build_services(server, ehr, generator, escalate_after, **approving))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        found = Stack(server, app, ehr, generator)
        stack.push_async_callback(found.http.aclose)
        yield found
