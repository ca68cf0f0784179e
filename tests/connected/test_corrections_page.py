"""The page of a filed case: forms that work without a script correct, append and retract."""

from typing import Any

import httpx
import lxml.html
import pytest

from tests.connected.test_corrections import by_identifier, statuses, text_in
from tests.support.corrections import document, filed, verified
from tests.support.stack import Stack

pytestmark = pytest.mark.connected


async def page(stack: Stack, case_id: str, role: str = "physician", note: str = "") -> lxml.html.HtmlElement:
    answer = await stack.call(role, "GET", f"/reviews/{case_id}", params={"note": note})
    assert answer.status_code == 200, answer.text
    return lxml.html.fromstring(answer.text)


def form(of: lxml.html.HtmlElement, action: str) -> dict[str, Any]:
    """What a browser would send if nothing was changed."""
    (found,) = of.xpath(f'//form[@action="{action}"]')
    fields: dict[str, Any] = {}
    for name, value in found.form_values():
        fields.setdefault(name, []).append(value)
    return fields


async def send(stack: Stack, path: str, fields: dict[str, Any], role: str = "physician") -> httpx.Response:
    return await stack.call(role, "POST", path, data=fields)


async def test_a_correction_is_looked_at_confirmed_and_signed(stack: Stack) -> None:
    case_id = await filed(stack)
    path = f"/reviews/{case_id}/amendments"
    fields = form(await page(stack, case_id), path)
    text = fields["text"][0].replace("\n", "\r\n") + "\r\nShe was seen by the dietician."
    looked = await send(stack, f"{path}/look", fields | {"text": text})
    assert (looked.status_code, looked.headers["location"]) == (303, f"/reviews/{case_id}#correction")
    shown = await page(stack, case_id)
    assert [item.text_content().strip() for item in shown.xpath('//*[@id="correction"]//ins')]
    assert shown.xpath('//*[@id="correction"]/@open')
    fields = form(shown, path)
    assert fields["text"][0].endswith("dietician.\n")
    refused = await send(stack, path, fields | {"reason": "forgotten"})
    assert refused.headers["location"] == f"/reviews/{case_id}?note=unresolved#correction"
    shown = await page(stack, case_id, note="unresolved")
    assert shown.xpath('//*[@role="alert"]')
    assert form(shown, path)["reason"] == ["forgotten"], "nothing typed is lost"
    own = shown.xpath('//*[@id="correction"]//input[@name="written"]/@value')
    assert own
    signed = await send(stack, path, form(shown, path) | {"written": own})
    assert signed.headers["location"] == f"/reviews/{case_id}"
    await stack.reaches(case_id, "filed", events=8)
    assert text_in(by_identifier(stack, case_id)["final/2"]) == text.replace("\r\n", "\n") + "\n"
    shown = await page(stack, case_id)
    assert "Corrected text, countersigned by" in shown.text_content()
    assert not shown.xpath('//*[@id="correction"]/@open')
    assert (await verified(stack, case_id)).verified


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"reason": "x"}, "unchanged"),
        ({"reason": " ", "text": "x"}, "no-reason"),
        ({"reason": "x", "text": " "}, "incomplete"),
        ({"reason": "x", "text": "x", "seen": "0" * 64}, "changed"),
    ],
)
async def test_what_cannot_be_signed_comes_back_with_a_reason(stack: Stack, changes: dict[str, str], note: str) -> None:
    case_id = await filed(stack)
    path = f"/reviews/{case_id}/amendments"
    answer = await send(stack, path, form(await page(stack, case_id), path) | changes)
    assert answer.headers["location"] == f"/reviews/{case_id}?note={note}#correction"
    assert (await page(stack, case_id, note=note)).xpath('//*[@role="alert"]')
    assert len(await stack.events(case_id)) == 6


async def test_an_addendum_stands_below_the_document(stack: Stack) -> None:
    case_id = await filed(stack)
    path = f"/reviews/{case_id}/addenda"
    fields = form(await page(stack, case_id), path) | {"text": "Pending at discharge: none.", "reason": "asked"}
    answer = await send(stack, path, fields)
    if "unresolved" in answer.headers["location"]:
        shown = await page(stack, case_id)
        own = shown.xpath('//*[@id="addendum"]//input[@name="written"]/@value')
        answer = await send(stack, path, form(shown, path) | {"written": own})
    assert answer.headers["location"] == f"/reviews/{case_id}"
    await stack.reaches(case_id, "filed", events=8)
    (shown,) = (await page(stack, case_id)).xpath('//article[@aria-label="Addendum 1"]')
    assert "Pending at discharge: none." in shown.text_content()


async def test_two_people_retract(stack: Stack) -> None:
    case_id = await filed(stack)
    path = f"/reviews/{case_id}/retraction"
    fields = form(await page(stack, case_id), path) | {"reason": "<b>another</b> patient's"}
    assert (await send(stack, path, fields)).headers["location"] == f"/reviews/{case_id}#retraction"
    first = await page(stack, case_id)
    assert "“<b>another</b> patient's”" in first.text_content()
    assert not first.xpath(f'//form[@action="{path}/confirm"]'), "who asked does not confirm"
    alone = await send(stack, f"{path}/confirm", {"seen": (await document(stack, case_id))["digest"]})
    assert alone.headers["location"] == f"/reviews/{case_id}?note=same-person#retraction"
    second = form(await page(stack, case_id, "supervisor"), f"{path}/confirm")
    assert (await send(stack, f"{path}/confirm", second, "supervisor")).status_code == 303
    await stack.reaches(case_id, "retracted", events=9)
    assert statuses(stack, case_id) == {"final": "entered-in-error"}
    shown = await page(stack, case_id)
    assert "Retracted: entered in error" in shown.text_content()
    assert not shown.xpath(f'//form[starts-with(@action, "{path}")]')
    assert not shown.xpath('//article[@aria-label="The signed document"]')
