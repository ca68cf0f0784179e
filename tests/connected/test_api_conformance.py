"""Schemathesis calls every operation of the REST APIs as their OpenAPI document says, and finds nothing undocumented.

It makes requests that match the document and requests that do not, always the same ones. They are sent to the services
on a real NATS, by roles that may call the operation and by one that may not; ids are made up or those of real cases.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
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
from tests.support.effort import THOROUGH
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.serving import served
from tests.support.stack import EvaluatorParts, Stack, running

pytestmark = [pytest.mark.connected, pytest.mark.timeout(300 * THOROUGH)]

EXAMPLES = 6 * THOROUGH  # requests of each kind to an operation
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXCLUDED = {"GET /v1/events": "its answer does not end: tests/connected/test_event_stream.py reads it"}
LAST = ("/erasure", "/retraction", "/amendments", "/addenda")  # other requests find less after these


@pytest.fixture
async def serving(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Stack, str]]:
    monkeypatch.setattr(rate_limits, "REFUSAL_DELAY_S", 0)
    await nats.provision()
    base, port = EmbeddedQdrant(tmp_path / "qdrant"), free_port()
    evaluator = EvaluatorParts(base, f"http://127.0.0.1:{port}")
    async with (
        running(nats, sandbox(), narrative_policy="marked", evaluator=evaluator) as found,
        served(found.app, port=port) as url,
    ):
        yield found, url
    await base.close()


async def test_no_operation_gives_an_undocumented_answer(serving: tuple[Stack, str]) -> None:
    stack, url = serving
    waiting = await stack.discharge()
    await stack.reaches(waiting, "awaiting-review")
    found = await asyncio.to_thread(Caller(url, stack.server.secrets.tokens, [waiting]).call_all)
    assert found.failures == [], "\n".join(found.failures)
    assert found.called == found.documented - EXCLUDED.keys()
    assert len(found.called) > 90
    assert {200, 201, 202, 401, 403, 404, 409, 412, 422, 428} <= found.statuses


class Caller:
    """Calls operations, and remembers what it has called and what was wrong."""

    def __init__(self, url: str, tokens: dict[str, str], cases: list[str]) -> None:
        self._url = url
        self._tokens = tokens
        self._cases = cases
        self._session = requests.Session()
        self.failures: list[str] = []
        self.called = set[str]()
        self.documented = set[str]()
        self.statuses = set[int]()

    def call_all(self) -> "Caller":
        schema = schemathesis.openapi.from_url(f"{self._url}/openapi.json")
        found = sorted((item.ok() for item in schema.get_all_operations()), key=_order)
        self.documented = {item.label for item in found}
        for operation in found:
            if operation.label not in EXCLUDED:
                for mode in schemathesis.GenerationMode:
                    self._call(operation, mode)
        return self

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
        @given(case=operation.as_strategy(mode), sender=st.sampled_from(senders), real=st.sampled_from(self._cases))
        def call(case: schemathesis.Case, sender: str, real: str) -> None:
            if "case_id" in case.path_parameters and sender != "nobody":
                case.path_parameters["case_id"] = real
            headers = {"Authorization": f"Bearer {self._tokens[sender]}"} if sender in self._tokens else {}
            response = case.call(base_url=self._url, session=self._session, headers=headers)
            self.called.add(operation.label)
            self.statuses.add(response.status_code)
            try:
                case.validate_response(response, checks=CHECKS)
            except FailureGroup as group:  # all of them are reported together
                words = " ".join(f"{item.title}: {item.message}" for item in group.exceptions)
                self.failures.append(f"{operation.label} as {sender}: {response.status_code} {words}"[:1500])

        if mode is schemathesis.GenerationMode.POSITIVE:
            call()
            return
        with suppress(Unsatisfiable):  # whatever is sent to it is right
            call()

    def _senders(self, description: str) -> Iterator[str]:
        roles = description.rpartition("Roles: ")[2].rstrip(".") if "Roles: " in description else ""
        allowed = [role for role in self._tokens if roles == "any" or role in roles.split(", ")]
        yield from allowed * 2
        yield "nobody"
        yield next((role for role in self._tokens if role not in allowed), "nobody")


def _order(operation: schemathesis.APIOperation) -> tuple[bool, bool, str]:
    return operation.path.endswith(LAST), operation.method.upper() != "GET", operation.label
