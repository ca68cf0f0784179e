"""Schemathesis calls every operation of the REST APIs as their OpenAPI document says, and finds nothing undocumented.

It makes requests that match the document and requests that do not, always the same ones. They are sent to the services
on a real NATS, by roles that may call the operation and by others, with ids that are made up and ids that exist.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cli.stack.ports import free_port
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.runtime import rate_limits
from shared.runtime.prometheus_settings import PrometheusSettings
from tests.support.alerts import EVERY, alert, answer, prometheus_app, rule
from tests.support.effort import THOROUGH
from tests.support.ehr import sandbox, stays
from tests.support.server import NatsServer
from tests.support.serving import served
from tests.support.stack import EvaluatorParts, Stack, running

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(300 * THOROUGH)]

EXAMPLES = 12 * THOROUGH  # requests of each kind to an operation
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXCLUDED = {"GET /v1/events": "its answer does not end: tests/connected/test_event_stream.py reads it"}
LAST = ("/erasure", "/retraction", "/amendments", "/addenda")  # other requests find less after these
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
Serving = tuple[Stack, str]


@pytest.fixture
async def serving(nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    monkeypatch.setattr(rate_limits, "REFUSAL_DELAY_S", 0)
    await nats.provision()
    base, port = EmbeddedQdrant(tmp_path / "qdrant"), free_port()
    evaluator = EvaluatorParts(base, f"http://127.0.0.1:{port}")
    body = answer(*EVERY[1:], rule("CasesStopped", alert()))
    async with (
        served(prometheus_app(body)) as watching,
        running(
            nats,
            sandbox(),
            narrative_policy="marked",
            evaluator=evaluator,
            prometheus=PrometheusSettings(url=watching),
        ) as found,
        served(found.app, port=port) as url,
    ):
        yield found, url
    await base.close()


@dataclass
class Existing:
    """What is there: values of path parameters by the pattern of the path they begin with, and ETags by case."""

    values: dict[tuple[str, str], list[str]]
    etags: dict[str, str]

    def of(self, path: str, name: str) -> list[str]:
        return next((found for (start, of), found in self.values.items() if of == name and path.startswith(start)), [])


async def prepared(stack: Stack) -> Existing:
    """Makes a review, a filed document, a failed case with its dead letter, a webhook and a refresh."""
    waiting, filed, failed = [await stack.discharge(id) for id in (*stays()[:2], "not-there")]
    await stack.reaches(waiting, "awaiting-review")
    await stack.reaches(filed, "awaiting-review")
    assert (await stack.decide(filed, "approve")).status_code == 200
    await stack.reaches(filed, "filed")
    await stack.reaches(failed, "failed")
    document = await stack.call("physician", "GET", f"/v1/cases/{filed}/document")
    review = await stack.call("physician", "GET", f"/v1/reviews/{waiting}")
    webhook = await stack.call("operator", "POST", "/v1/webhooks", json={"url": "https://integrator.example/"})
    refresh = await stack.call("operator", "POST", "/v1/knowledge/refreshes", json={})
    drafters = (await stack.call("auditor", "GET", "/v1/drafters")).json()["items"]
    letters = (await stack.call("operator", "GET", "/v1/dead-letters")).json()["items"]
    values = {
        ("/v1", "case_id"): [waiting, filed, failed],
        ("/v1/drafters", "digest"): [item["digest"] for item in drafters],
        ("/v1/dead-letters", "sequence"): [str(item["sequence"]) for item in letters],
        ("/v1/webhooks", "id"): [webhook.json()["id"]],
        ("/v1/knowledge/refreshes", "id"): [refresh.json()["refresh"]],
    }
    assert all(values.values()), values
    return Existing(values, {waiting: review.headers["ETag"], filed: document.headers["ETag"]})


async def test_no_operation_gives_an_undocumented_answer(serving: Serving) -> None:
    stack, url = serving
    found = Caller(url, stack.server.secrets.tokens, await prepared(stack))
    await asyncio.to_thread(found.call_all)
    assert found.failures == [], "\n".join(found.failures)
    assert found.called == found.documented - EXCLUDED.keys()
    assert len(found.called) > 90
    assert {200, 202, 400, 401, 403, 404, 409, 422, 428} <= found.statuses


async def test_an_answer_that_is_not_documented_is_found(serving: Serving) -> None:
    stack, url = serving
    answers = stack.app.openapi()["paths"]["/v1/cases/{case_id}"]["get"]["responses"]
    del answers["404"]
    found = Caller(url, stack.server.secrets.tokens, Existing({}, {}))
    await asyncio.to_thread(found.call_all, lambda label: label == "GET /v1/cases/{case_id}")
    assert found.failures
    assert all(" 404 Undocumented status code" in item for item in found.failures), found.failures


class Caller:
    """Calls operations, and remembers what it has called and what was wrong."""

    def __init__(self, url: str, tokens: dict[str, str], existing: Existing) -> None:
        self._url = url
        self._tokens = tokens
        self._existing = existing
        self._session = requests.Session()
        self.failures: list[str] = []
        self.called = set[str]()
        self.documented = set[str]()
        self.statuses = set[int]()

    def call_all(self, wanted: Callable[[str], bool] = lambda label: label not in EXCLUDED) -> None:
        schema = schemathesis.openapi.from_url(f"{self._url}/openapi.json")
        found = sorted((item.ok() for item in schema.get_all_operations()), key=_order)
        self.documented = {item.label for item in found}
        for operation in found:
            if wanted(operation.label):
                self._call(operation, POSITIVE)
                with suppress(Unsatisfiable):  # whatever is sent to it is right
                    self._call(operation, NEGATIVE)

    def _call(self, operation: schemathesis.APIOperation, mode: schemathesis.GenerationMode) -> None:
        senders = list(self._senders(operation.definition.raw["description"]))

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode), sender=st.sampled_from(senders), choice=st.integers(0, 3))
        def call(case: schemathesis.Case, sender: str, choice: int) -> None:
            self._use_existing(case, choice)
            headers = {"Authorization": f"Bearer {self._tokens[sender]}"} if sender in self._tokens else {}
            response = case.call(base_url=self._url, session=self._session, headers=headers)
            self.called.add(operation.label)
            self.statuses.add(response.status_code)
            try:
                case.validate_response(response, checks=CHECKS)
            except FailureGroup as group:  # all of them are reported together
                words = " ".join(f"{item.title}: {item.message}" for item in group.exceptions)
                self.failures.append(f"{operation.label} as {sender}: {response.status_code} {words}"[:1500])

        call()

    def _use_existing(self, case: schemathesis.Case, choice: int) -> None:
        """Put ids that exist into three of four requests, and the ETag that belongs to them."""
        for name in case.path_parameters if choice else ():
            if values := self._existing.of(case.operation.path, name):
                case.path_parameters[name] = values[choice % len(values)]
        etag = self._existing.etags.get(str(case.path_parameters.get("case_id")))
        if etag is not None and case.method != "GET":
            case.headers["If-Match"] = etag

    def _senders(self, description: str) -> Iterator[str]:
        roles = description.rpartition("Roles: ")[2].rstrip(".") if "Roles: " in description else ""
        allowed = [role for role in self._tokens if roles == "any" or role in roles.split(", ")]
        yield from allowed * 3
        yield "nobody"
        yield next((role for role in self._tokens if role not in allowed), "nobody")


def _order(operation: schemathesis.APIOperation) -> tuple[bool, bool, str]:
    return operation.path.endswith(LAST), operation.method.upper() != "GET", operation.label
