"""While connections of every hostile kind are open, whoever works is answered; what is refused is told so, and closed.

The whole run, with a thousand of them, figures and bombs as documents: `make bench-hostile`.
"""

import asyncio
import json
import random
from collections import Counter
from dataclasses import replace

import psutil
import pytest

from bench.hostile.attackers import attack
from bench.hostile.attacks import PLANS, Target, uploads
from bench.hostile.raw_http import Address
from bench.hostile.workload import Workload
from cli.stack.ports import free_port
from shared.runtime import connection_limits
from shared.runtime.authentication import token_digest
from shared.runtime.service import make_server
from tests.support import stack as whole
from tests.support.ehr import sandbox, stays
from tests.support.server import NatsServer
from tests.support.stack import running, until

pytestmark = pytest.mark.connected

SECONDS = 4.0
ROUNDS = 10  # at most
CONNECTIONS = 100
LOADS = 6  # of the inbox
STAFF = [f"physician-{number}" for number in range(3)]
# What may become of each attack; what is still open when it ends says nothing.
ANSWERS = {
    "idle": {"closed"},
    "slow_headers": {"408"},
    "slow_body": {"408"},
    "slow_stolen_body": {"408"},
    "streams": {"200", "429"},
    "unread": {"closed"},
    "sign_ins": {"403", "429"},
    "wrong_tokens": {"401"},
    "huge_body": {"401"},
    "huge_stolen_body": {"413"},
    "pipelined": {"401", "closed", "ConnectionResetError"},
    "huge_headers": {"431"},
    "deep_json": {"413"},
    "wide_json": {"413"},
    "hooks": {"413"},
    "wide_approval": {"413"},
    "edited_texts": {"200", "429"},
    "short_sentences": {"200", "429"},
    "encoded_texts": {"413", "429"},
    "many_fields": {"400", "429"},
}

# What may still be open when it is over.
LATE = {"slow_body", "slow_stolen_body", "unread", "edited_texts", "short_sentences", "streams"}


async def test_a_ward_works_on_while_it_is_attacked(nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_limits, "HEADER_TIMEOUT_S", 1.0)
    write = whole.write_tokens

    def write_with_staff(path, tokens):  # type: ignore[no-untyped-def]
        write(path, tokens)
        grants = json.loads(path.read_text())
        grants["tokens"] += [{"sha256": token_digest(one), "subject": one, "role": "physician"} for one in STAFF]
        path.write_text(json.dumps(grants))

    monkeypatch.setattr(whole, "write_tokens", write_with_staff)
    await nats.provision()
    port = free_port()
    async with running(nats, sandbox(), public_url=f"http://127.0.0.1:{port}") as stack:
        server = make_server(stack.app, "127.0.0.1", port)
        server.config.lifespan = "off"  # the services run already
        serving = asyncio.create_task(server._serve())
        await until(lambda: asyncio.sleep(0, server.started), "the server")
        try:
            await _attacked(stack, port, nats.secrets.tokens)
        finally:
            server.should_exit = server.force_exit = True
            await serving


async def _attacked(stack: whole.Stack, port: int, tokens: dict[str, str]) -> None:
    url = f"http://127.0.0.1:{port}"
    cases = [await stack.discharge(encounter) for encounter in stays(stack.ehr.style)[:4]]
    drafts = [(case, (await stack.reaches(case, "awaiting-review"), await stack.review(case))[1]) for case in cases]
    known = [(case, str(review["draft"]["digest"])) for case, review in drafts]
    chance = random.Random(1)
    async with Workload(url, url, tokens["ingest"], STAFF, chance) as ward:
        target = Target(Address(port), Address(port), tokens, await ward.sign_in(tokens["physician"]), known, chance)
        work = [asyncio.create_task(ward.physician(token, every=0.5, decide_after=3)) for token in STAFF]
        plans = [plan for plan in PLANS if plan.attack is not uploads]
        plans = [replace(plan, pause=0.5) for plan in plans]
        told = Counter[str]()
        for _ in range(ROUNDS):  # on a busy machine the first may end before anybody has signed
            told.update(await attack(target, plans, CONNECTIONS, SECONDS))
            if ward.signed and len(ward.seen.took["inbox"]) >= LOADS:
                break
        for task in work:
            task.cancel()
        ended = await asyncio.gather(*work, return_exceptions=True)
    assert all(isinstance(item, asyncio.CancelledError) for item in ended), ended
    assert not ward.seen.errors
    assert len(ward.seen.took["inbox"]) >= LOADS
    assert ward.signed
    unexpected = [item for item in told if item.partition(": ")[2] not in ANSWERS[item.partition(": ")[0]]]
    assert not unexpected, told
    answered = Counter(item.partition(": ")[0] for item in told)
    assert answered.keys() >= ANSWERS.keys() - LATE, told
    for case in ward.signed:
        await stack.reaches(case, "filed")
    await until(lambda: _unconnected(port), "hostile connections to be closed")


async def _unconnected(port: int) -> bool:
    found = psutil.Process().net_connections("tcp")
    return not any(item.laddr.port == port and item.status == psutil.CONN_ESTABLISHED for item in found)
