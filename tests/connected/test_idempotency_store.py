"""Answers under an `Idempotency-Key` in their bucket: one of many requests executes, and all get its answer."""

import asyncio
from datetime import timedelta

import pytest

from shared.messaging.connection import WrongSequenceError
from shared.messaging.idempotency_store import (
    KEPT_S,
    LOST_AFTER,
    Claim,
    IdempotencyStore,
    KeyReusedError,
    RequestInProgressError,
    name_of,
)
from tests.support.backup import as_user
from tests.support.people import Clock
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected

NAME = name_of("ann", "POST", "/v1/things", "MRN-4711")
ANSWER = 201, {"content-type": "application/json"}, b'{"secret": "whsec_x"}'


async def test_one_of_many_requests_executes_and_the_others_get_its_answer(nats: NatsServer, clock: Clock) -> None:
    await nats.provision()
    async with as_user(nats, "approval") as bus, as_user(nats, "approval") as other:
        bus.master_keys = other.master_keys = (b"k" * 32,)
        one, two = (IdempotencyStore(item, "approval", clock) for item in (bus, other))
        found = await asyncio.gather(*(item.claim(NAME, "a") for item in (one, two) * 4), return_exceptions=True)
        (claim,) = [item for item in found if isinstance(item, Claim)]
        assert sum(isinstance(item, RequestInProgressError) for item in found) == 7
        await one.store(claim, *ANSWER)
        assert await two.claim(NAME, "a") == ANSWER
        with pytest.raises(KeyReusedError):
            await two.claim(NAME, "b")
        (stored,) = await bus.direct_get("KV_idempotency", {"seq": 1, "next_by_subj": "$KV.idempotency.>", "batch": 9})
        headers = dict(stored.headers or {})
        assert headers["Nats-TTL"] == f"{KEPT_S}s"
        assert headers["Nats-Subject"] == f"$KV.idempotency.approval.{NAME}"
        for secret in (b"4711", b"things", b"ann", b"whsec"):
            assert secret not in stored.data + headers["Nats-Subject"].encode()


async def test_a_refused_request_frees_its_key_and_a_lost_one_does_after_a_while(
    nats: NatsServer, clock: Clock
) -> None:
    await nats.provision()
    async with as_user(nats, "evaluator") as bus:
        answers = IdempotencyStore(bus, "evaluator", clock)
        refused = await answers.claim(NAME, "a")
        assert isinstance(refused, Claim)
        await answers.release(refused)
        lost = await answers.claim(NAME, "b")
        assert isinstance(lost, Claim)
        with pytest.raises(RequestInProgressError):
            await answers.claim(NAME, "b")
        clock.ahead += LOST_AFTER + timedelta(seconds=1)
        again = await answers.claim(NAME, "b")
        assert isinstance(again, Claim)
        with pytest.raises(WrongSequenceError):
            await answers.store(lost, *ANSWER)  # its answer comes too late
        await answers.store(again, *ANSWER)
        assert await answers.claim(NAME, "b") == ANSWER
