"""Mutated notification bodies: no answer is a 500, and no name gets on the bus or into logs.

COUNTERSIGN_THOROUGH=250 pytest tests/component/test_notification_fuzz.py: 100,000 bodies.
"""

import logging
import random
from typing import Any, get_args

import pytest

from sandbox_ehr.notifications import Content, Shape, request
from tests.component.test_notifications import PATH, NotificationClient
from tests.support.effort import THOROUGH
from tests.support.mutation import mutated

BODIES = 400 * THOROUGH
NAME = "Zzyzx_family"  # a name that is no id of FHIR
SHAPES: tuple[Shape, ...] = get_args(Shape)
CONTENTS: tuple[Content, ...] = get_args(Content)
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "id": "e1",
    "meta": {"versionId": "7", "lastUpdated": "2026-11-28T11:00:00Z"},
    "status": "finished",
    "subject": {"reference": "Patient/p1", "display": NAME},
    "participant": [{"individual": {"reference": "Practitioner/1", "display": NAME}}],
}
PIECES = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"NaN",
    b"\\ud800",
    b"\xff",
    b"[" * 5000,
)
PIECES = (
    *PIECES,
    b'{"resourceType":"Bundle","entry":[',
    b'"resource":',
    b'"Encounter/' + b"x" * 70 + b'"',
    b'"id":{}',
    b"9" * 5000,
)


@pytest.mark.timeout(60 + BODIES // 20)
async def test_no_mutated_body_is_a_500_or_shows_a_name(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shuffle = random.Random()
    seed = shuffle.randrange(2**32)
    shuffle.seed(seed)
    statuses = dict[int, int]()
    endpoint = NotificationClient()
    for number in range(BODIES):
        shape = shuffle.choice(SHAPES)
        content = shuffle.choice(CONTENTS)
        sent = request(shape, PATH, ENCOUNTER, shuffle.randrange(9), content=content, token="ingest")
        sent["content"] = mutated(sent["content"], PIECES, shuffle)
        try:
            answer = await endpoint.http.request(**sent)
            assert answer.status_code in (200, 413, 422), answer.status_code
            assert NAME not in answer.text
        except Exception as error:
            error.add_note(f"seed {seed}, body {number}: {sent['content'][:2000]!r}")
            raise
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        if number % 1000 == 0:
            endpoint.bus.kept[:] = [item for item in endpoint.bus.kept if NAME in str(item)]
    assert {200, 422} <= set(statuses), "the mutations are too weak or too strong to test anything"
    assert NAME not in str(endpoint.bus.kept)
    assert NAME not in caplog.text
