"""Notes over FHIR: inline and Binary, in five formats, from servers that answer as real ones do, whole or broken."""

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from services.drafter.extract import read_stay
from services.drafter.notes import formats
from shared.clinical.fhir_client import FhirClient
from shared.contracts.context import EncounterContext
from shared.contracts.errors import RateLimitedError
from tests.stays.build import Chart
from tests.stays.elements import BASE
from tests.stays.model import Stay
from tests.stays.notes.writing import TYPES, Form, encoded, note
from tests.stays.server import serve

TEXT = "Assessment:\nDeveloped rapid atrial fibrillation and converted with diltiazem.\n"
SAID = "Developed rapid atrial fibrillation and converted with diltiazem."
Answer = Callable[[httpx.Request], httpx.Response]


def chart() -> Chart:
    made = Chart("notes-server", "notes", "formats", start="2026-03-02T20:00:00Z", end="2026-03-07T15:00:00Z")
    made.diagnosis(made.condition("Atrial fibrillation"), rank=1)
    return made


async def read(stay: Stay, binary: Answer | None = None) -> EncounterContext:
    """The context of a stay; `binary` answers for its Binary resources."""
    async with serve(stay) as http:
        transport = http._transport
        assert isinstance(transport, httpx.MockTransport)
        whole = transport.handler

        def answer(request: httpx.Request) -> httpx.Response:
            if binary is not None and "/Binary/" in request.url.path:
                return binary(request)
            found = whole(request)
            assert isinstance(found, httpx.Response)
            return found

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=BASE) as client:
            return await read_stay(FhirClient(BASE, client), stay.encounter, occurred_at=None, attending=None)


def sentences(context: EncounterContext) -> list[str]:
    return [item.text for found in context.clinical_notes for item in found.sentences]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("form", list(TYPES))
async def test_every_format_is_read_inline_and_from_a_binary(form: Form, binary: bool) -> None:
    made = chart()
    note(made, "progress", TEXT, "2026-03-03T09:00:00Z", form=form, binary=binary)
    context = await read(made.stay())
    assert SAID in sentences(context)
    assert context.left_out == ()


@pytest.mark.parametrize("form", list(TYPES))
async def test_a_binary_may_come_as_it_is(form: Form) -> None:
    made = chart()
    note(made, "progress", TEXT, "2026-03-03T09:00:00Z", form=form, binary=True)
    seen: list[httpx.Request] = []

    def raw(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=encoded(TEXT, form), headers={"content-type": TYPES[form]})

    assert SAID in sentences(await read(made.stay(), raw))
    assert [request.headers["accept"] for request in seen] == ["*/*"]


async def test_a_note_in_several_formats_is_read_once_from_one_that_can_be() -> None:
    made = chart()
    several = [
        {"attachment": {"contentType": "application/pdf", "data": base64.b64encode(encoded(TEXT, "pdf")).decode()}},
        {"attachment": {"contentType": "text/html", "url": "Binary/gone"}},
        {"attachment": {"contentType": "image/png", "data": "aaaa"}},
    ]
    note(made, "progress", TEXT, "2026-03-03T09:00:00Z", content=several)
    context = await read(made.stay())
    assert sentences(context) == [SAID]
    assert context.left_out == ()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(404), "the EHR does not have its text"),
        (httpx.Response(403), "its text could not be fetched (HTTP 403)"),
        (httpx.Response(500), "the EHR failed to give its text"),
        (
            httpx.Response(
                200, content=b"x" * (formats.MAX_ATTACHMENT_BYTES + 1), headers={"content-type": "text/plain"}
            ),
            "larger than 5",
        ),
        (
            httpx.Response(
                200, content=b"x" * (2 * formats.MAX_ATTACHMENT_BYTES), headers={"content-type": "text/plain"}
            ),
            "larger than",
        ),
        (httpx.Response(200, content=b"", headers={"content-type": "text/plain"}), "there is no text in it"),
        (httpx.Response(200, json={"resourceType": "Binary", "data": "%%%"}), "could not be fetched (it is damaged)"),
        (httpx.Response(200, json={"resourceType": "Binary", "contentType": "text/plain"}), "there is no text in it"),
        (httpx.Response(200, content=b"%PDF-1.4 x", headers={"content-type": "text/plain"}), "not a PDF, or damaged"),
        (
            httpx.Response(200, content=b"{\\rtf1" + b"{" * 9999, headers={"content-type": "text/rtf"}),
            "nested too deeply",
        ),
    ],
)
async def test_a_text_that_cannot_be_had_is_named_and_asked_about(answer: httpx.Response, reason: str) -> None:
    made = chart()
    note(made, "progress", TEXT, "2026-03-03T09:00:00Z", binary=True, title="Night note")
    context = await read(made.stay(), lambda _: answer)
    named = [line for line in context.left_out if line.startswith("Note: Night note (2026-03-03), its text")]
    assert len(named) == 1
    assert reason in named[0]
    assert any("Night note" in point.text and reason in point.text for point in context.open_points)


async def test_a_server_that_asks_to_come_back_later_is_asked_again_later() -> None:
    made = chart()
    note(made, "progress", TEXT, "2026-03-03T09:00:00Z", binary=True)
    with pytest.raises(RateLimitedError):
        await read(made.stay(), lambda _: httpx.Response(429, headers={"retry-after": "7"}))


async def test_nothing_is_fetched_from_anywhere_else_and_no_picture_is_fetched_at_all() -> None:
    made = chart()
    asked: list[str] = []
    for number, attachment in enumerate(
        (
            {"contentType": "text/plain", "url": "https://elsewhere.example/fhir/Binary/1"},
            {"contentType": "text/plain", "url": "http://169.254.169.254/latest/meta-data"},
            {"contentType": "text/plain", "url": "file:///etc/passwd"},
            {"contentType": "text/plain", "url": "DocumentReference/1"},
            {"contentType": "image/tiff", "url": "Binary/picture"},
            {"contentType": "text/plain", "url": "Binary/huge", "size": 10**9},
        )
    ):
        note(made, "progress", "", "2026-03-03T09:00:00Z", title=f"Note {number}", content=[{"attachment": attachment}])

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, content=b"fetched", headers={"content-type": "text/plain"})

    context = await read(made.stay(), answer)
    assert asked == []
    told = "\n".join(context.left_out)
    assert all(f"Note: Note {number} (2026-03-03), its text could not be read" in told for number in range(6))
    assert sentences(context) == []


async def test_a_first_failure_of_a_binary_is_tried_once_more() -> None:
    made = chart()
    note(made, "progress", TEXT, "2026-03-03T09:00:00Z", binary=True)
    answers = [httpx.Response(200, content=TEXT.encode(), headers={"content-type": "text/plain"}), httpx.Response(502)]
    assert SAID in sentences(await read(made.stay(), lambda _: answers.pop()))


async def test_an_author_that_only_a_reference_names_is_read() -> None:
    made = chart()
    writer: dict[str, Any] = made.add("Practitioner", name=[{"family": "Reyes", "given": ["Una"], "prefix": ["Dr."]}])
    note(made, "consult", TEXT, "2026-03-03T09:00:00Z")["author"] = [made.ref(writer)]
    (found,) = (await read(made.stay())).clinical_notes
    assert found.citation == "Consults, Dr. Una Reyes, 2026-03-03 09:00"
