"""The FHIR client against what real servers and the proxies before them do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from shared.clinical.authorization import Authorization, StaticToken, TokenFile
from shared.clinical.fhir_client import FhirClient, NotFoundError, UnauthorizedError
from shared.clinical.paging import MAX_PAGES_WITHOUT_NEW
from shared.contracts.errors import PermanentError, TransientError
from shared.http import retry_after
from tests.support.ehr import BASE
from tests.support.examples import T0

TOKEN = StaticToken(SecretStr("secret"))
Handler = Callable[[httpx.Request], httpx.Response]


def speaking(handler: Handler, authorization: Authorization | None = None, **more: Any) -> FhirClient:
    return FhirClient(BASE, httpx.AsyncClient(transport=httpx.MockTransport(handler)), authorization, **more)


def answering(status: int, body: Any = None, headers: dict[str, str] | None = None) -> FhirClient:
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    return speaking(lambda _: httpx.Response(status, content=content, headers=headers))


def page(*ids: str, following: str | None = None, **more: Any) -> httpx.Response:
    entries = [{"resource": {"resourceType": "Observation", "id": id}} for id in ids]
    links = [{"relation": "next", "url": following}] if following is not None else []
    return httpx.Response(200, json={"resourceType": "Bundle", "link": links, "entry": entries, **more})


# JSON


async def test_numbers_keep_every_digit_on_the_way_in_and_out() -> None:
    text = (
        b'{"resourceType":"Task","id":"t","input":[{"valueDecimal":5.0},{"valueDecimal":0.400},{"valueDecimal":1e400},'
        b'{"valueDecimal":-0.00},{"valueDecimal":100},{"valueString":"\\"\xc3\xa4\\n"}],"x":[true,null,{}]}'
    )
    sent: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, content=text)

    ehr = speaking(handler)
    task = await ehr.read("Task", "t")
    assert str(task["input"][1]["valueDecimal"]) == "0.400"
    await ehr.update(task)
    put = sent[-1]
    assert put.headers["Content-Type"] == "application/fhir+json"
    assert put.content.decode() == text.decode().replace("1e400", "1E+400")


@pytest.mark.parametrize(
    "body", [b'{"resourceType": "Patient", "x": NaN}', b'{"resourceType": "Patient", "x": ' + b"[" * 99999]
)
async def test_what_json_does_not_know_is_not_read(body: bytes) -> None:
    with pytest.raises(TransientError, match="not JSON"):
        await answering(200, body).read("Patient", "x")


# Pages


async def test_a_stay_of_thousands_on_pages_of_twenty() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("offset", "0"))
        ids = [str(number) for number in range(start, min(start + 20, 4100))]
        return page(*ids, following=f"{BASE}/Observation?offset={start + 20}" if start + 20 < 4100 else None)

    assert len(await speaking(handler).search("Observation", {"patient": "p"})) == 4100


async def test_a_page_size_is_asked_for() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        return page("1")

    ehr = speaking(handler)
    await ehr.search("Observation", {"patient": "p"})
    await ehr.search("Observation", {"_count": "7"})
    assert asked == ["patient=p&_count=200", "_count=7"]


async def test_a_server_that_refuses_the_page_size_is_asked_without() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        return page("1") if "_count" not in request.url.params else httpx.Response(400)

    ehr = speaking(handler)
    for _ in range(2):
        assert len(await ehr.search("Observation", {"patient": "p"})) == 1
    assert asked == ["patient=p&_count=200", "patient=p", "patient=p"]


async def test_what_is_refused_for_another_reason_stays_refused() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400) if "colour" in request.url.params else page("1")

    ehr = speaking(handler)
    with pytest.raises(PermanentError, match="400"):
        await ehr.search("Observation", {"colour": "blue"})
    before = ehr.requests
    await ehr.search("Observation", {})
    assert ehr.requests == before + 1, "the page size is still asked for"


async def test_pages_that_go_round_in_a_circle_end() -> None:
    bundle = {"resourceType": "Bundle", "link": [{"relation": "next", "url": f"{BASE}/Patient?page=1"}]}
    with pytest.raises(PermanentError, match="cycle"):
        await answering(200, bundle).search("Patient", {})


async def test_pages_that_bring_nothing_new_end() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params.get("page", "0"))
        return page("1", "2", following=f"{BASE}/Observation?page={number + 1}")

    ehr = speaking(handler)
    with pytest.raises(PermanentError, match="pages without new entries"):
        await ehr.search("Observation", {})
    assert ehr.requests == MAX_PAGES_WITHOUT_NEW + 2


async def test_empty_pages_between_others_are_passed_and_what_shifts_counts_once() -> None:
    pages = {"0": page("a", "b", following="?page=1"), "1": page(following="?page=2"), "2": page("b", "c")}
    found = await speaking(lambda request: pages[request.url.params.get("page", "0")]).search("Observation", {})
    assert [item["id"] for item in found] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("?page=2", "http://ehr.test/fhir/Observation?page=2"),
        ("Observation?page=2", "http://ehr.test/fhir/Observation?page=2"),
        ("/pages?page=2", "http://ehr.test/pages?page=2"),
        ("http://ehr.test/fhir?_getpages=2", "http://ehr.test/fhir?_getpages=2"),
        ("https://ehr.test/other/Observation?page=2", "http://ehr.test/other/Observation?page=2"),
        ("http://10.0.0.7:8080/fhir/Observation?page=2", "http://ehr.test/fhir/Observation?page=2"),
        ("//elsewhere.test/fhir/Observation?page=2", "http://ehr.test/fhir/Observation?page=2"),
        ("http://ehr.test//elsewhere.test/x?page=2", "http://ehr.test/elsewhere.test/x?page=2"),
        ("http://ehr.test@elsewhere.test/x?page=2", "http://ehr.test/x?page=2"),
    ],
)
async def test_the_next_page_is_asked_of_our_server_however_it_names_itself(link: str, asked: str) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return page("2") if len(seen) > 1 else page("1", following=link)

    found = await speaking(handler, TOKEN).search("Observation", {})
    assert [item["id"] for item in found] == ["1", "2"]
    assert str(seen[1].url) == asked
    assert {request.url.host for request in seen} == {"ehr.test"}


async def test_a_server_that_names_its_base_otherwise_is_asked_below_ours() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if "page" in request.url.params:
            return page("2") if request.url.path == "/fhir/Observation" else httpx.Response(404)
        entry = {
            "fullUrl": "http://inner:8080/r4/Observation/1",
            "resource": {"resourceType": "Observation", "id": "1"},
        }
        return page(following="http://inner:8080/r4/Observation?page=2", entry=[entry])

    assert len(await speaking(handler).search("Observation", {})) == 2


@pytest.mark.parametrize("link", ["javascript:alert(1)", "urn:uuid:1", "http://[broken", ""])
async def test_a_link_that_is_none_is_not_the_end_of_the_pages(link: str) -> None:
    with pytest.raises(PermanentError, match="next page"):
        await speaking(lambda _: page("1", following=link)).search("Observation", {})


async def test_pages_of_a_host_that_is_allowed_are_asked_there_without_our_token() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.url.host == "pages.test":
            return page("2", following="http://ehr.test/fhir/Observation?page=3") if len(seen) == 2 else page("x")
        return page("3") if len(seen) > 1 else page("1", following="https://pages.test:8443/p?page=2")

    found = await speaking(handler, TOKEN, page_hosts=("Pages.test:8443",)).search("Observation", {})
    assert [item["id"] for item in found] == ["1", "2", "3"]
    assert [request.headers.get("Authorization") for request in seen] == ["Bearer secret", None, "Bearer secret"]


@pytest.mark.parametrize(
    ("type", "id"), [("http:", "/elsewhere.test/x"), ("", "/elsewhere.test"), ("/", "elsewhere.test")]
)
async def test_no_reference_takes_the_token_to_another_host(type: str, id: str) -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(404)

    with pytest.raises(NotFoundError):
        await speaking(handler, TOKEN).read(type, id)
    assert seen == ["ehr.test"]


# Failures


@pytest.mark.parametrize("body", [b"<html>proxy</html>", b"[]", b"\xff\xfe", b"", b'{"message": "in maintenance"}'])
async def test_what_no_fhir_server_says_may_pass(body: bytes) -> None:
    with pytest.raises(TransientError):
        await answering(200, body).read("Patient", "x")
    with pytest.raises(TransientError):
        await answering(200, body).search("Patient", {})


async def test_a_resource_of_another_type_is_refused() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "processing"}]}
    with pytest.raises(PermanentError, match="not a Bundle"):
        await answering(200, outcome).search("Patient", {})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, TransientError) for status in (302, 401, 408, 409, 423, 425, 429, 500, 502, 503, 504)),
        *((status, PermanentError) for status in (301, 400, 403, 404, 405, 410, 412, 422, 501)),
    ],
)
async def test_what_may_pass_by_itself_is_not_permanent(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await answering(status, b"<html></html>").read("Patient", "x")


async def test_entries_that_are_no_resources_are_left_out() -> None:
    entries = [{"resource": {"resourceType": "OperationOutcome", "id": "x"}}, {}, "junk", {"resource": {"id": "y"}}]
    assert await answering(200, {"resourceType": "Bundle", "entry": entries}).search("Patient", {}) == []


async def test_what_a_server_says_stays_out_of_our_words() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"code": "value", "diagnostics": "Jane Doe is no date"}]}
    with pytest.raises(PermanentError) as refused:
        await answering(400, outcome).search("Patient", {"family": "Doe"})
    assert refused.value.reason == "search Patient: HTTP 400 (value)"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        ("0", 0),
        ("Mon, 23 Nov 2026 09:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 08:00:00 GMT", 0),
        ("soon", 5),
        ("inf", 5),
        ("nan", 5),
        (None, 5),
    ],
)
def test_retry_after_as_seconds_or_date(value: str | None, seconds: float) -> None:
    assert retry_after(value, T0) == seconds


# Tokens


def accepting(*tokens: str) -> tuple[Handler, list[str | None]]:
    """A server that takes these tokens; and what it was sent."""
    sent: list[str | None] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("Authorization"))
        if request.url.path == "/fhir/metadata":
            return httpx.Response(200, json={"resourceType": "CapabilityStatement"})
        taken = sent[-1] in {f"Bearer {token}" for token in tokens}
        return httpx.Response(200, json={"resourceType": "Bundle"}) if taken else httpx.Response(401)

    return handler, sent


async def test_a_token_that_was_replaced_is_read_again_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    handler, sent = accepting("old")
    authorization = TokenFile(file)
    await speaking(handler, authorization).search("Patient", {})
    file.write_text("new\n")
    handler, sent = accepting("new")
    ehr = speaking(handler, authorization)
    assert await ehr.search("Patient", {}) == []
    assert await ehr.search("Patient", {}) == []
    assert sent == ["Bearer old", "Bearer new", "Bearer new"]


async def test_a_refused_token_may_be_mended_and_readiness_says_so_until_then(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    handler, sent = accepting("new")
    ehr = speaking(handler, TokenFile(file))
    with pytest.raises(UnauthorizedError):
        await ehr.search("Patient", {})
    assert sent == ["Bearer old"], "the same token is not tried twice"
    assert not await ehr.ready()
    file.write_text("new")
    assert await ehr.ready()


@pytest.mark.parametrize("content", [None, "", "two words", "schlüssel"])
async def test_a_token_that_cannot_be_had_may_come(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    handler, sent = accepting("new")
    ehr = speaking(handler, TokenFile(file))
    with pytest.raises(TransientError, match="token"):
        await ehr.search("Patient", {})
    assert not await ehr.ready()
    assert sent == []


@pytest.mark.parametrize(
    ("status", "usable"), [(200, True), (400, True), (403, True), (404, True), (401, False), (429, False), (503, False)]
)
async def test_readiness_is_what_a_search_with_our_token_says(status: int, usable: bool) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/fhir/metadata":
            return httpx.Response(200, json={"resourceType": "CapabilityStatement"})
        return httpx.Response(status, json={"resourceType": "Bundle"})

    assert await speaking(handler, TOKEN).ready() is usable


async def test_a_page_of_a_proxy_and_a_wrong_base_are_not_ready() -> None:
    assert not await answering(200, b"<html>We are in maintenance</html>").ready()
    assert not await answering(404, b"<html>Not found</html>").ready()


# Writes that show nothing


TASK = {"resourceType": "Task", "status": "requested"}


@pytest.mark.parametrize("location", [f"{BASE}/Task/42/_history/1", "Task/42", "/fhir/Task/42"])
async def test_a_create_that_shows_only_where_it_put_the_resource(location: str) -> None:
    made = await answering(201, headers={"Location": location}).create(TASK)
    assert made.created
    assert made.resource == TASK | {"id": "42"}


async def test_a_create_that_shows_nothing_is_looked_for_and_may_show_later() -> None:
    found: list[Any] = []
    searches: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(201)
        searches.append(request)
        return httpx.Response(200, json={"resourceType": "Bundle", "entry": found})

    ehr = speaking(handler)
    query = {"identifier": "urn:test|1"}
    with pytest.raises(TransientError):
        await ehr.create(TASK, if_none_exist=query)
    with pytest.raises(TransientError):
        await ehr.create(TASK)
    found.append({"resource": TASK | {"id": "7"}})
    assert (await ehr.create(TASK, if_none_exist=query)).resource["id"] == "7"
    assert {request.headers["Cache-Control"] for request in searches} == {"no-cache"}


@pytest.mark.parametrize("body", [b"<html>", b'{"resourceType": "OperationOutcome"}', b'{"resourceType": "Task"}'])
async def test_what_a_create_says_beside_the_resource_is_passed_over(body: bytes) -> None:
    made = await answering(201, body, {"Location": f"{BASE}/Task/42"}).create(TASK)
    assert made.resource["id"] == "42"


async def test_only_searches_that_must_be_fresh_ask_for_it() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return page(following="?page=2") if "page" not in request.url.params else page()

    ehr = speaking(handler)
    await ehr.search("Task", {}, fresh=True)
    await ehr.search("Task", {})
    assert [item.headers.get("Cache-Control") for item in seen] == ["no-cache", "no-cache", None, None]


async def test_conditions_are_sent_as_they_are_meant() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json=TASK | {"id": "1"})

    await speaking(handler).create(TASK, if_none_exist={"identifier": "urn:a b|c&d"})
    assert parse_qs(seen[0].headers["If-None-Exist"]) == {"identifier": ["urn:a b|c&d"]}
    assert urlsplit(str(seen[0].url)).path == "/fhir/Task"


async def test_a_delete_of_what_is_gone_is_done() -> None:
    for status in (200, 204, 404, 410):
        await answering(status).delete("Provenance", "1")
    with pytest.raises(PermanentError):
        await answering(405).delete("Provenance", "1")
