"""The attacks. Each is one connection after the other until it is told to stop; it says what became of each.

Some come from outside, some from somebody whose token or session was stolen: `Target` has those.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from bench.hostile.raw_http import Address, close, outcome, request
from tests.support import malicious_input
from tests.support.malicious_input import KB, MB

ANSWERED = 40.0  # seconds until no answer is called none
CHUNK = bytes(64 * KB)
UPLOAD = "Content_Type", "multipart/form-data; boundary=b"
JSON = {"Content_Type": "application/json"}
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class Target:
    """What attackers know. `cookie` and `cases` (id and digest of the draft) are of a physician, tokens by role."""

    approval: Address
    ingest: Address
    tokens: dict[str, str]
    cookie: str
    cases: list[tuple[str, str]]
    chance: random.Random
    documents: list[tuple[str, bytes]] = field(default_factory=list)

    def bearer(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[role]}"}


Attack = Callable[[Target], Awaitable[str]]


@asynccontextmanager
async def connected(
    target: Target, address: Address
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await address.connect(target.chance)
    try:
        yield reader, writer
    finally:
        await close(writer)


async def send(target: Target, address: Address, data: bytes) -> str:
    """One request, and what is answered."""
    async with connected(target, address) as (reader, writer):
        writer.write(data)
        return await outcome(reader, ANSWERED)


async def drip(target: Target, address: Address, begin: bytes, drop: bytes, every: float) -> str:
    """Write `drop` every so many seconds, until the other side has had enough."""
    async with connected(target, address) as (reader, writer):
        writer.write(begin)
        answer = asyncio.create_task(outcome(reader, ANSWERED))
        while not answer.done():
            await asyncio.wait([answer], timeout=every)
            writer.write(drop)
        return answer.result()


async def endless(target: Target, address: Address, begin: bytes) -> str:
    """Write without end. Who refuses reads on for some seconds, so that the answer arrives."""
    async with connected(target, address) as (reader, writer):
        writer.write(begin)
        answer = asyncio.create_task(outcome(reader, ANSWERED))
        while not answer.done():
            writer.write(CHUNK)
            await asyncio.wait([answer, asyncio.ensure_future(writer.drain())], return_when="FIRST_COMPLETED")
            await asyncio.sleep(0.05)
        return answer.result()


def _post(address: Address, path: str, length: int, **headers: str) -> bytes:
    return request("POST", path, address.port, Content_Length=str(length), **headers)


async def idle(target: Target) -> str:
    async with connected(target, target.approval) as (reader, _):
        return await outcome(reader, ANSWERED)


async def slow_headers(target: Target) -> str:
    begin = request("GET", "/", target.approval.port).removesuffix(b"\r\n")
    return await drip(target, target.approval, begin, b"X-Slow: x\r\n", 1.0)


async def slow_body(target: Target) -> str:
    return await drip(target, target.approval, _post(target.approval, "/sign-in", 60 * KB, **FORM), b"x", 1.0)


async def slow_stolen_body(target: Target) -> str:
    headers = JSON | target.bearer("ingest")
    begin = _post(target.ingest, "/v1/encounters/discharged", 60 * KB, **headers)
    return await drip(target, target.ingest, begin, b" ", 1.0)


async def huge_body(target: Target) -> str:
    return await endless(target, target.ingest, _post(target.ingest, "/v1/encounters/discharged", 10**10, **JSON))


async def huge_stolen_body(target: Target) -> str:
    begin = _post(target.ingest, "/v1/fhir/notifications", 10**10, **JSON, **target.bearer("ingest"))
    return await endless(target, target.ingest, begin)


async def streams(target: Target) -> str:
    data = request("GET", "/events", target.approval.port, Cookie=target.cookie, Accept="text/event-stream")
    async with connected(target, target.approval) as (reader, writer):
        writer.write(data)
        found = await outcome(reader, ANSWERED)
        if found == "200":
            await asyncio.sleep(ANSWERED)
        return found


async def unread(target: Target) -> str:
    """Ask for pages, again and again, and take none."""
    data = request("GET", "/", target.approval.port, Cookie=target.cookie)
    async with connected(target, target.approval) as (reader, writer):
        writer.write(data * 15)
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())], timeout=ANSWERED)
        return "closed" if reader.at_eof() else "unanswered"


async def sign_ins(target: Target) -> str:
    body = urlencode({"token": f"{target.chance.random()}"}).encode()
    origin = {"Origin": f"http://127.0.0.1:{target.approval.port}"}
    return await send(
        target, target.approval, request("POST", "/sign-in", target.approval.port, body, **FORM, **origin)
    )


async def wrong_tokens(target: Target) -> str:
    wrong = {"Authorization": f"Bearer {target.chance.random()}"}
    return await send(target, target.approval, request("GET", "/v1/reviews", target.approval.port, **wrong))


async def pipelined(target: Target) -> str:
    """Thousands of requests in one breath."""
    data = request("GET", "/v1/reviews", target.approval.port)
    return await send(target, target.approval, data * (256 * KB // len(data)))


async def huge_headers(target: Target) -> str:
    data = request("GET", "/", target.approval.port).removesuffix(b"\r\n")
    return await send(target, target.approval, data + b"X-A: " + b"y" * MB + b"\r\n\r\n")


async def deep_json(target: Target) -> str:
    return await _json(target, "/v1/encounters/discharged", malicious_input.deep_json(60 * KB))


async def wide_json(target: Target) -> str:
    return await _json(target, "/v1/encounters/discharged", malicious_input.wide_json(60 * KB))


async def hooks(target: Target) -> str:
    make = target.chance.choice(
        [
            malicious_input.many_resources,
            malicious_input.empty_objects,
            malicious_input.deep_json,
            malicious_input.wide_json,
        ]
    )
    return await _json(target, "/v1/fhir/notifications", make(2 * MB - KB))


async def _json(target: Target, path: str, body: bytes) -> str:
    data = request("POST", path, target.ingest.port, body, **JSON, **target.bearer("ingest"))
    return await send(target, target.ingest, data)


async def wide_approval(target: Target) -> str:
    case, digest = target.chance.choice(target.cases)
    headers = JSON | target.bearer("physician") | {"If_Match": f'"{digest}"'}
    body = malicious_input.wide_json(3 * MB - KB)
    path = f"/v1/reviews/{case}/approve"
    return await send(target, target.approval, request("POST", path, target.approval.port, body, **headers))


async def edited_texts(target: Target) -> str:
    """A text that was rewritten, as the page sends it."""
    return await _rewritten(target, malicious_input.random_text(target.chance, 199_000))


async def short_sentences(target: Target) -> str:
    """As many sentences as a text has room for."""
    return await _rewritten(target, malicious_input.short_sentences(199_000))


async def _rewritten(target: Target, text: str) -> str:
    def parts(digest: str) -> bytes:
        fields = {"digest": digest, "text": text}.items()
        begin = 'Content-Disposition: form-data; name="'
        return "".join(f'--b\r\n{begin}{name}"\r\n\r\n{value}\r\n' for name, value in fields).encode() + b"--b--\r\n"

    return await _kept(target, parts, dict([UPLOAD]))


async def encoded_texts(target: Target) -> str:
    """A text of which every character is escaped."""
    form = urlencode({"text": "\xe9\n" * 99_000}).encode()
    return await _kept(target, lambda digest: b"digest=" + digest.encode() + b"&" + form, FORM)


async def many_fields(target: Target) -> str:
    fields = malicious_input.form_fields(60 * KB)
    return await _kept(target, lambda digest: urlencode({"digest": digest}).encode() + b"&" + fields, FORM)


async def _kept(target: Target, form: Callable[[str], bytes], media_type: dict[str, str]) -> str:
    case, digest = target.chance.choice(target.cases)
    headers = media_type | {"Cookie": target.cookie, "Origin": f"http://127.0.0.1:{target.approval.port}"}
    path = f"/reviews/{case}/working"
    return await send(target, target.approval, request("POST", path, target.approval.port, form(digest), **headers))


async def uploads(target: Target) -> str:
    name, data = target.chance.choice(target.documents)
    disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    body = f"--b\r\n{disposition}\r\n\r\n".encode() + data + b"\r\n--b--\r\n"
    headers = {UPLOAD[0]: UPLOAD[1]} | target.bearer("operator")
    path = "/v1/knowledge/documents"
    return await send(target, target.ingest, request("POST", path, target.ingest.port, body, **headers))


@dataclass(frozen=True, slots=True)
class Plan:
    """`share` of the connections, each of which waits up to `pause` seconds before it comes again."""

    attack: Attack
    share: int
    pause: float


PLANS = (
    Plan(idle, 20, 1),
    Plan(slow_headers, 20, 1),
    Plan(slow_body, 10, 1),
    Plan(slow_stolen_body, 5, 1),
    Plan(streams, 10, 2),
    Plan(unread, 5, 2),
    Plan(sign_ins, 8, 5),
    Plan(wrong_tokens, 8, 5),
    Plan(huge_body, 2, 5),
    Plan(huge_stolen_body, 2, 5),
    Plan(pipelined, 2, 10),
    Plan(huge_headers, 2, 5),
    Plan(deep_json, 1, 5),
    Plan(wide_json, 1, 5),
    Plan(hooks, 1, 5),
    Plan(wide_approval, 1, 10),
    Plan(edited_texts, 1, 5),
    Plan(short_sentences, 1, 5),
    Plan(encoded_texts, 1, 5),
    Plan(many_fields, 1, 5),
    Plan(uploads, 1, 5),
)
