"""Who may: sign-in by OpenID Connect, tokens, departments, owners, sessions; and that every refusal is on the trail."""

import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from joserfc.jwk import RSAKey

from services.approval.web import sign_in as routes
from shared.runtime.authentication import SESSION_COOKIE
from shared.runtime.rate_limits import TokenBucket
from tests.support.oidc import GEE, OidcServer
from tests.support.people import (
    COLLEAGUE,
    SUPERVISOR,
    URL,
    Clock,
    access_entries,
    bearer,
    open_review_case,
    post,
    sign_in,
)
from tests.support.physician import approval_body
from tests.support.stack import Stack

pytestmark = pytest.mark.connected


async def test_a_provider_signs_people_in(secured: Stack) -> None:
    arrived = await sign_in(secured, after="/?mine=1")
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/?mine=1")
    page = await secured.http.get("/")
    assert page.status_code == 200
    assert "Maxine Gee" in page.text
    assert [item["event"] for item in await access_entries(secured)] == ["signed-in"]


async def test_nobody_is_sent_elsewhere_after_the_sign_in(secured: Stack) -> None:
    for after in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        assert (await sign_in(secured, after=after)).headers["location"] == "/"


async def test_only_the_browser_that_left_may_come_back_and_only_once(secured: Stack) -> None:
    left = await secured.http.get("/sign-in/provider")
    async with httpx.AsyncClient() as outside:
        back = (await outside.get(left.headers["location"])).headers["location"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(secured.app), base_url=URL) as other:
        assert (await other.get(back)).status_code == 403
    secured.http.cookies.clear()
    assert (await secured.http.get(back)).status_code == 403
    assert {item["event"] for item in await access_entries(secured)} == {"refused"}


async def test_a_session_ends_when_it_is_left_alone_and_when_it_is_closed(secured: Stack, clock: Clock) -> None:
    await sign_in(secured)
    clock.ahead = timedelta(minutes=29)
    assert (await secured.http.get("/")).status_code == 200
    clock.ahead = timedelta(minutes=58)
    assert (await secured.http.get("/")).status_code == 200
    clock.ahead = timedelta(minutes=89)
    gone = await secured.http.get("/?mine=1")
    assert (gone.status_code, gone.headers["location"]) == (303, "/sign-in?after=/%3Fmine%3D1")
    await sign_in(secured)
    session = secured.http.cookies[SESSION_COOKIE]
    left = await post(secured, "/sign-out")
    assert left.headers["clear-site-data"] == '"cache", "storage"'
    secured.http.cookies.set(SESSION_COOKIE, session)
    assert (await secured.http.get("/")).status_code == 303


async def test_a_session_is_good_only_for_our_own_pages(secured: Stack) -> None:
    case_id = await open_review_case(secured)
    await sign_in(secured)
    for headers in ({}, {"Origin": "https://evil.example"}):
        answer = await secured.http.post(
            f"/reviews/{case_id}/reassign", data={"to": "x", "reason": "y"}, headers=headers
        )
        assert answer.status_code == 403
    cookie = (await sign_in(secured)).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


async def test_tokens_that_open_nothing(secured: Stack, provider: OidcServer) -> None:
    now = int(time.time())
    case_id = await open_review_case(secured)
    wrong = {
        "the token is not signed by the identity provider": {"key": RSAKey.generate_key(2048, {"kid": "one"})},
        "the token is of another issuer": {"iss": "https://other.example"},
        "the token has expired": {"exp": now - 60},
        "the token is for somebody else": {"aud": "another-client"},
        "the token has no role here": {"roles": ["gardener"]},
    }
    for reason, claims in wrong.items():
        answer = await secured.http.get(f"/v1/reviews/{case_id}", headers=bearer(provider.token(**claims)))
        assert answer.status_code == 401, reason
        assert answer.json()["detail"] == reason
    assert (await secured.http.get("/v1/reviews", headers=bearer("a.b.c"))).status_code == 401
    found = [item["detail"] for item in await access_entries(secured) if item["event"] == "refused"]
    for reason in wrong:
        assert f"GET /v1/reviews/{{case_id}}: {reason}" in found


async def test_a_role_too_low_and_another_department(secured: Stack, provider: OidcServer) -> None:
    case_id = await open_review_case(secured)
    auditor = bearer(provider.token(sub="eve", roles=["auditor"], departments=None))
    assert (await secured.http.get(f"/v1/reviews/{case_id}", headers=auditor)).status_code == 403
    assert (await secured.http.get(f"/v1/cases/{case_id}", headers=auditor)).status_code == 200
    elsewhere = bearer(provider.token(departments=["cardiology"]))
    assert (await secured.http.get(f"/v1/reviews/{case_id}", headers=elsewhere)).status_code == 404
    assert (await secured.http.get(f"/v1/cases/{case_id}", headers=elsewhere)).status_code == 404
    assert (await secured.http.get("/v1/reviews", headers=elsewhere)).json()["items"] == []
    details = [item["detail"] for item in await access_entries(secured, case_id)]
    assert details == ["see: the case is of another department"]


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        (GEE, 200),
        (COLLEAGUE, 403),
        (SUPERVISOR, 200),
        (SUPERVISOR | {"departments": ["cardiology"]}, 404),
        ({"roles": ["operator"], "departments": None}, 403),
    ],
)
async def test_who_may_decide(secured: Stack, provider: OidcServer, claims: dict[str, Any], status: int) -> None:
    case_id = await open_review_case(secured)
    draft = (await secured.http.get(f"/v1/reviews/{case_id}", headers=bearer(provider.token()))).json()["draft"]
    headers = bearer(provider.token(**claims)) | {"If-Match": draft["digest"]}
    answer = await secured.http.post(f"/v1/reviews/{case_id}/approve", headers=headers, json=approval_body(draft))
    assert answer.status_code == status, answer.text
    if status == 200:
        case = await secured.reaches(case_id, "filed")
        by = next(event["detail"]["by"] for event in case["events"] if event["event"] == "approved")
        assert by["method"] == "jwt"
        assert by["practitioner"] in ("Practitioner/DR-IM-006", "Practitioner/boss")


async def test_whoever_it_was_given_to_may_decide(secured: Stack, provider: OidcServer) -> None:
    case_id = await open_review_case(secured)
    mine, theirs = bearer(provider.token()), bearer(provider.token(**COLLEAGUE))
    given = {"to": "Practitioner/DR-IM-002", "reason": "I am away"}
    stranger = bearer(provider.token(sub="x", fhirUser="Practitioner/DR-IM-003"))
    path = f"/v1/reviews/{case_id}"
    assert (await secured.http.post(f"{path}/reassign", headers=stranger, json=given)).status_code == 403
    assert (await secured.http.post(f"{path}/reassign", headers=mine, json=given)).status_code == 200
    rejection = {"action": "close", "reason": "I write it"}
    assert (await secured.http.post(f"{path}/reject", headers=theirs, json=rejection)).status_code == 200


async def test_a_signature_wants_a_recent_sign_in(secured: Stack, provider: OidcServer, clock: Clock) -> None:
    case_id = await open_review_case(secured)
    await sign_in(secured)
    page = await secured.http.get(f"/reviews/{case_id}")
    assert page.status_code == 200
    review = (await secured.http.get(f"/v1/reviews/{case_id}", headers=bearer(provider.token()))).json()["draft"]
    everything = [str(index) for index in range(len(review["sentences"]))]
    points = [str(index) for index in range(len(review["open_points"]))]
    form = {
        "digest": review["digest"],
        "text": review["text"] + "One line more.\n",
        "confirmed": everything,
        "acknowledged": points,
    }
    clock.ahead = timedelta(minutes=16)
    asked = await post(secured, f"/reviews/{case_id}/approve", **form)
    assert asked.headers["location"] == f"/sign-in?again=1&after=/reviews/{case_id}"
    assert "One line more." in (await secured.http.get(f"/reviews/{case_id}")).text  # nothing typed is lost
    now = int(time.time())
    old = provider.token(auth_time=now, exp=now + 3600)
    answer = await secured.http.post(
        f"/v1/reviews/{case_id}/approve", headers=bearer(old) | {"If-Match": review["digest"]}
    )
    assert answer.status_code == 401
    assert "insufficient_user_authentication" in answer.headers["www-authenticate"]
    await sign_in(secured, again=True)
    assert provider.asked[-1]["prompt"] == "login"
    clock.ahead = timedelta()
    form["written"] = [hashlib.sha256(b"One line more.").hexdigest()]
    assert (await post(secured, f"/reviews/{case_id}/approve", **form)).headers["location"] == f"/reviews/{case_id}"
    case = await secured.reaches(case_id, "filed")
    approved = next(event["detail"] for event in case["events"] if event["event"] == "approved")
    assert approved["edits"]["distance"] == len("One line more.\n")
    assert {name: approved["by"][name] for name in ("method", "name", "npi")} == {
        "method": "oidc",
        "name": "Maxine Gee",
        "npi": "1234567893",
    }


async def test_every_look_at_a_draft_is_on_the_trail(secured: Stack, provider: OidcServer) -> None:
    case_id = await open_review_case(secured)
    await secured.http.get(f"/v1/reviews/{case_id}", headers=bearer(provider.token()))
    await sign_in(secured)
    await secured.http.get(f"/reviews/{case_id}")
    auditor = bearer(provider.token(sub="eve", roles=["auditor"], departments=None))
    seen = (await secured.http.get(f"/v1/cases/{case_id}/access", headers=auditor)).json()["items"]
    assert [(item["event"], item["subject"], item["method"]) for item in seen] == [
        ("viewed", "mgee", "jwt"),
        ("viewed", "mgee", "oidc"),
    ]
    assert (await secured.http.get(f"/v1/cases/{case_id}/access", headers=bearer(provider.token()))).status_code == 403


OPEN = {
    "/healthz",
    "/readyz",
    "/.well-known/jwks.json",
    "/.well-known/oauth-protected-resource",
    "/assets/inbox.js",
    "/assets/{name}",
    "/sign-in",
    "/sign-in/provider",
    "/sign-in/callback",
    "/sign-in/ended",
    "/sign-in/back-channel-logout",
    "/sign-out",
}


@pytest.mark.parametrize("case_id", ["*", ">", "a.b", "%2A", "x" * 65])
async def test_what_is_no_case_id_is_no_case(secured: Stack, provider: OidcServer, case_id: str) -> None:
    """A wildcard must not name the cases of others."""
    await open_review_case(secured)
    token = bearer(provider.token())
    review = {"If-Match": "0" * 64}
    for method, path in (
        ("GET", f"/v1/cases/{case_id}"),
        ("GET", f"/v1/reviews/{case_id}"),
        ("POST", f"/v1/reviews/{case_id}/approve"),
        ("GET", f"/reviews/{case_id}"),
        ("GET", f"/v1/reviews/{case_id}/escalations"),
    ):
        answer = await secured.http.request(method, path, headers=token | review)
        assert answer.status_code == 404, (method, path)
    assert (await secured.http.get("/events", params={"case": case_id}, headers=token)).status_code == 404


def routes_of(router: Any) -> Iterator[APIRoute]:
    """Every route of an application, also of routers that were included."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from routes_of(route.original_router)


async def test_every_route_refuses_who_is_not_known(secured: Stack) -> None:
    """Also those that nobody has written yet."""
    routes = [route for route in routes_of(secured.app) if route.path not in OPEN]
    assert len(routes) >= 20
    for route in routes:
        path = route.path.replace("{case_id}", "c1")
        for method in route.methods:
            answer = await secured.http.request(method, path)
            sent_away = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
            assert sent_away or answer.status_code == 401, (method, route.path, answer.status_code)


async def test_no_body_is_read_before_it_is_known_who_sends_it(secured: Stack, provider: OidcServer) -> None:
    """Also of those routes that nobody has written yet."""

    async def unread() -> AsyncIterator[bytes]:
        pytest.fail("the body was read")
        yield b""

    low = bearer(provider.token(sub="machine", roles=["ingest"], departments=None))
    routes = [route for route in routes_of(secured.app) if route.body_field is not None and route.path not in OPEN]
    assert len(routes) >= 15
    for route in routes:
        path = route.path.replace("{case_id}", "c1")
        for method in route.methods:
            for type in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                sent = {"Content-Type": type}
                answer = await secured.http.request(method, path, content=unread(), headers=sent)
                assert answer.status_code == 401, (method, path, answer.text)
                if not route.path.startswith("/v1/"):  # a page
                    assert "text/html" in answer.headers["content-type"]
                if route.path.startswith(("/v1/reviews", "/reviews", "/v1/cases")):
                    answer = await secured.http.request(method, path, content=unread(), headers=sent | low)
                    assert answer.status_code == 403, (method, path, answer.text)


async def test_whoever_tries_on_and_on_is_told_to_wait(secured: Stack) -> None:
    # A limit that the test reaches, and that does not recover while it runs.
    secured.app.state.rates = {routes.ATTEMPTS: TokenBucket("sign-in", 10, 0.0001)}

    async def ask(times: int, method: str, path: str, **sent: Any) -> list[int]:
        return [(await secured.http.request(method, path, **sent)).status_code for _ in range(times)]

    assert await ask(8, "GET", "/sign-in/provider") == [303] * 8
    assert await ask(4, "POST", "/sign-in", data={"token": "guess"}) == [403, 403, 429, 429]
    assert await ask(1, "GET", "/sign-in/provider") == [429]
    assert await ask(1, "GET", "/sign-in") == [200]
    known = await secured.call("auditor", "GET", "/v1/cases")  # whoever is known is not held up
    assert known.status_code == 200


async def test_every_page_and_review_route_refuses_a_role_too_low(secured: Stack, provider: OidcServer) -> None:
    token = bearer(provider.token(sub="machine", roles=["ingest"], departments=None))
    clinical = [
        route
        for route in routes_of(secured.app)
        if route.path.startswith(("/v1/reviews", "/reviews", "/events", "/people")) or route.path == "/"
    ]
    assert len(clinical) > 10
    for route in clinical:
        for method in route.methods:
            answer = await secured.http.request(method, route.path.replace("{case_id}", "c1"), headers=token)
            assert answer.status_code == 403, (method, route.path)


async def test_the_page_signs_no_text_that_is_not_this_stays_whole_document(
    secured: Stack, provider: OidcServer
) -> None:
    case_id = await open_review_case(secured)
    await sign_in(secured)
    draft = (await secured.http.get(f"/v1/reviews/{case_id}", headers=bearer(provider.token()))).json()["draft"]
    everything = {"digest": draft["digest"], "acknowledged": [str(n) for n in range(len(draft["open_points"]))]}
    confirmed = [str(n) for n in range(len(draft["sentences"]))]
    patient = next(line for line in draft["text"].splitlines() if line.startswith("Patient: "))
    for text in ("", "My own words.", draft["text"].replace(patient, "Patient: Somebody Else, MRN 1")):
        answer = await post(secured, f"/reviews/{case_id}/approve", text=text, confirmed=confirmed, **everything)
        assert answer.headers["location"] == f"/reviews/{case_id}?note=incomplete"
    assert draft["open_points"]
    unseen = {"digest": draft["digest"], "text": draft["text"], "confirmed": confirmed}
    answer = await post(secured, f"/reviews/{case_id}/approve", **unseen)
    assert answer.headers["location"] == f"/reviews/{case_id}?note=unresolved"
    assert (await secured.case(case_id))["state"] == "awaiting-review"
