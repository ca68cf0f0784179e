"""Webhooks: signatures, what an answer means, which addresses are reached, how often an endpoint is asked. Pure."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.approval.event_feed.feed import EventFilter
from services.approval.event_feed.message import message_of
from services.approval.webhooks.rules import (
    FAILURES_IN_A_ROW,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MAX_CONCURRENT,
    EndpointCircuitBreaker,
    WebhookAddresses,
    classify_response,
    with_jitter,
)
from services.approval.webhooks.signing import secret_text, signed_headers
from services.approval.webhooks.webhook import StoredSecret, Webhook, WebhookDelivery, read_delivery
from shared.contracts.envelope import CHAIN_START, encode
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.retry import next_delay
from shared.messaging.master_keys import unwrap, wrap
from shared.messaging.topology import consumer
from shared.outbound import NotAllowedError
from tests.support.examples import CASE, EVENTS, STAY, T0

NOW = datetime(2026, 11, 29, 20, tzinfo=UTC)


def message(name: str = "approved", sequence: int = 7) -> Any:
    body = next(item for item in EVENTS if item.event == name)
    headers, _ = encode(CASE, body, id="e1", source="approval", time=T0, after=CHAIN_START)
    return message_of(CASE.subject(name), headers, sequence)


def test_the_published_example_of_standard_webhooks() -> None:
    """https://github.com/standard-webhooks/standard-webhooks: the vector that its libraries test themselves with."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    time = datetime.fromtimestamp(1614265330, UTC)
    found = signed_headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", time, b'{"test": 2432232314}')
    assert found == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert secret_text(secret) == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_each_valid_secret_signs() -> None:
    one, both = (signed_headers(secrets, "m", NOW, b"{}") for secrets in ([b"a" * 32], [b"b" * 32, b"a" * 32]))
    assert both["webhook-signature"].split()[1] == one["webhook-signature"]
    elsewhere = NOW.astimezone(tz=datetime.fromisoformat("2026-11-29T20:00:00+05:30").tzinfo)
    assert signed_headers([b"a" * 32], "m", elsewhere, b"{}") == one


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        (200, {}, "delivered", None),
        (204, {}, "delivered", None),
        (301, {}, "retry", None),
        (307, {}, "retry", None),
        (400, {}, "retry", None),
        (404, {}, "retry", None),
        (410, {}, "gone", None),
        (429, {"retry-after": "30"}, "retry", 30.0),
        (500, {"retry-after": "30"}, "retry", None),
        (503, {"retry-after": "Sun, 29 Nov 2026 20:01:00 GMT"}, "retry", 60.0),
        (503, {}, "retry", None),
    ],
)
def test_what_an_answer_means(status: int, headers: dict[str, str], kind: str, wait: float | None) -> None:
    found = classify_response(status, headers, NOW)
    assert (found.kind, found.wait) == (kind, wait)


PUBLIC = WebhookAddresses(frozenset())
DECLARED = WebhookAddresses(frozenset({"engine.hospital.example", "localhost", "10.1.2.3"}))


@pytest.mark.parametrize(
    ("addresses", "host", "found", "allowed"),
    [
        (PUBLIC, "integrator.example", "93.184.216.34", True),
        (PUBLIC, "integrator.example", "2606:2800:220:1:248:1893:25c8:1946", True),
        (PUBLIC, "integrator.example", "10.1.2.3", False),
        (PUBLIC, "integrator.example", "127.0.0.1", False),
        (PUBLIC, "integrator.example", "::1", False),
        (PUBLIC, "integrator.example", "::ffff:127.0.0.1", False),
        (PUBLIC, "integrator.example", "64:ff9b::a01:203", False),
        (PUBLIC, "integrator.example", "169.254.169.254", False),
        (PUBLIC, "integrator.example", "fe80::1%eth0", False),
        (PUBLIC, "integrator.example", "224.0.0.1", False),
        (PUBLIC, "integrator.example", "0.0.0.0", False),  # noqa: S104 - refused
        (PUBLIC, "integrator.example", "100.64.0.1", False),
        (PUBLIC, "10.1.2.3", "10.1.2.3", False),
        (DECLARED, "10.1.2.3", "10.1.2.3", True),
        (DECLARED, "engine.hospital.example", "10.9.9.9", True),
        (DECLARED, "Engine.Hospital.example", "10.9.9.9", True),
        (DECLARED, "engine.hospital.example", "127.0.0.1", False),  # our own services
        (DECLARED, "engine.hospital.example", "169.254.169.254", False),
        (DECLARED, "localhost", "127.0.0.1", True),
    ],
)
def test_only_public_and_declared_addresses_are_reached(
    addresses: WebhookAddresses, host: str, found: str, allowed: bool
) -> None:
    if allowed:
        addresses.check_address(host, found)
        return
    with pytest.raises(NotAllowedError, match="private network"):
        addresses.check_address(host, found)


def test_plain_http_is_for_declared_hosts_only() -> None:
    DECLARED.check_url("http://10.1.2.3:8080/hook")
    DECLARED.check_url("http://localhost/hook")
    DECLARED.check_url("https://integrator.example/hook?key=1")
    for url in ("http://integrator.example/", "http://engine.hospital.example/", "http://2130706433/"):
        with pytest.raises(NotAllowedError, match="https://"):
            DECLARED.check_url(url)
    with pytest.raises(NotAllowedError, match="private network"):
        DECLARED.check_url("https://10.1.2.4/")


def test_a_slow_endpoint_has_few_requests_at_a_time() -> None:
    gate = EndpointCircuitBreaker()
    assert [gate.enter(0.0) for _ in range(MAX_CONCURRENT)] == [None] * MAX_CONCURRENT
    assert gate.enter(0.0) is not None
    gate.leave(1.0, ok=True)
    assert gate.enter(1.0) is None


def test_what_was_not_sent_says_nothing_about_the_endpoint() -> None:
    gate = EndpointCircuitBreaker()
    for _ in range(FAILURES_IN_A_ROW):
        gate.enter(0.0)
        gate.leave(0.0, ok=False)
    assert gate.enter(FIRST_PAUSE) is None
    gate.leave(FIRST_PAUSE, ok=None)
    assert not gate.idle
    assert [gate.enter(FIRST_PAUSE), gate.enter(FIRST_PAUSE) is None] == [None, False]


def test_an_endpoint_that_is_down_is_asked_by_one_request_with_growing_pauses() -> None:
    gate, now = EndpointCircuitBreaker(), 0.0
    for _ in range(FAILURES_IN_A_ROW):
        assert gate.enter(now) is None
        gate.leave(now, ok=False)
    pauses = []
    for _ in range(12):
        wait = gate.enter(now)
        assert wait is not None
        pauses.append(wait)
        now += wait
        assert gate.enter(now) is None
        assert gate.enter(now) is not None, "one at a time"
        gate.leave(now, ok=False)
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    now += LONGEST_PAUSE
    assert gate.enter(now) is None
    gate.leave(now, ok=True)
    assert gate.idle
    assert gate.enter(now) is None


def test_an_endpoint_that_asks_for_it_is_left_alone() -> None:
    gate = EndpointCircuitBreaker()
    gate.enter(0.0)
    gate.leave(0.0, ok=False, wait=60.0)
    assert gate.enter(59.0) == 1.0
    assert gate.enter(60.0) is None


@given(
    st.lists(st.tuples(st.sampled_from(["enter", "ok", "failed"]), st.floats(min_value=0, max_value=1000)), max_size=60)
)
def test_no_more_requests_than_allowed_run_whatever_happens(steps: list[tuple[str, float]]) -> None:
    gate, now, running = EndpointCircuitBreaker(), 0.0, 0
    for what, seconds in steps:
        now += seconds
        if what == "enter":
            wait = gate.enter(now)
            assert wait is None or 0 < wait <= LONGEST_PAUSE
            running += wait is None
        elif running:
            running -= 1
            gate.leave(now, ok=what == "ok")
        assert running <= MAX_CONCURRENT


def test_waiting_messages_are_spread_and_never_early() -> None:
    waits = {with_jitter(10.0, number) for number in range(1000)}
    assert min(waits) == 10.0
    assert max(waits) < 20.0
    assert len(waits) == 64


def test_a_delivery_is_never_given_up_by_its_attempts() -> None:
    """Putting off counts as an attempt: what ends a delivery is its age."""
    target = consumer("approval-webhook-send")
    assert target.max_deliver == -1
    assert next_delay(target.retry, 100_000, TransientError("x")) == target.retry.max_interval


def webhook(**more: Any) -> Webhook:
    facts: dict[str, Any] = {"id": "w", "url": "https://x.example", "after": 3, "created_at": NOW, "created_by": "o"}
    return Webhook(**facts | {"secrets": (StoredSecret(wrapped="", created_at=NOW),)} | more)


@pytest.mark.parametrize(
    ("more", "wants"),
    [
        ({}, True),
        ({"types": ("approved", "filed")}, True),
        ({"types": ("filed",)}, False),
        ({"departments": ("cardiology",)}, True),
        ({"departments": ("surgery",)}, False),
        ({"enabled": False}, False),
        ({"after": 7}, False),
    ],
)
def test_which_events_a_webhook_wants(more: dict[str, Any], wants: bool) -> None:
    assert webhook(**more).wants(message()) is wants


@pytest.mark.parametrize(
    ("departments", "caller", "seen"),
    [
        ((), None, True),
        ((), ("surgery",), False),
        (("surgery",), ("surgery", "icu"), True),
        (("surgery", "icu"), ("surgery",), False),
        ((), (), False),
    ],
)
def test_who_sees_a_webhook(departments: tuple[str, ...], caller: tuple[str, ...] | None, seen: bool) -> None:
    assert webhook(departments=departments).visible_to(caller) is seen


@pytest.mark.parametrize("body", EVENTS, ids=lambda body: body.event)
def test_no_event_carries_more_than_ids_of_ours(body: Any) -> None:
    text = str(message(body.event).cloudevent())
    for name in ("patient", "encounter", "attending"):
        assert str(getattr(STAY, name)) not in text
    assert message(body.event).cloudevent()["data"].keys() == {"case_id", "department", "event", "sequence"}


def test_deliveries_have_an_id_for_each_webhook_and_event() -> None:
    event = message()
    assert WebhookDelivery.of("a", event) == WebhookDelivery.of("a", event)
    assert len({WebhookDelivery.of(name, event).id for name in "abc"}) == 3
    stored = WebhookDelivery.of("a", event)
    assert read_delivery(stored.subject, stored.model_dump_json().encode()) == stored
    with pytest.raises(PermanentError, match="does not match"):
        read_delivery("webhook.deliver.b.x", stored.model_dump_json().encode())
    with pytest.raises(PermanentError, match="breaks the contract"):
        read_delivery(stored.subject, b"{}")


def test_a_message_without_an_events_headers_is_refused() -> None:
    with pytest.raises(PermanentError):
        message_of(CASE.subject("approved"), {"ce-id": "x"}, 1)


@pytest.mark.parametrize(
    ("wanted", "subject", "takes"),
    [
        (EventFilter(), "discharge.*.*.*", True),
        (EventFilter(departments=()), "discharge.*.*.*", False),
        (EventFilter(departments=("surgery",)), "discharge.surgery.*.*", False),
        (EventFilter(departments=("surgery", "cardiology")), "discharge.*.*.*", True),
        (EventFilter(types=("approved",), case_id=CASE.id), f"discharge.*.{CASE.id}.approved", True),
        (EventFilter(types=("filed", "closed")), "discharge.*.*.*", False),
    ],
)
def test_filters_of_the_event_stream(wanted: EventFilter, subject: str, takes: bool) -> None:
    assert (wanted.subject, wanted.takes(message())) == (subject, takes)


def test_a_secret_is_bound_to_its_place() -> None:
    key, older = b"k" * 32, b"o" * 32
    stored = wrap([older], lambda count: b"n" * count, b"secret", "here")
    assert b"secret" not in stored
    assert unwrap([key, older], stored, "here", "it") == b"secret"
    for keys, place in (([key, older], "there"), ([key], "here"), ([], "here")):
        with pytest.raises(PermanentError):
            unwrap(keys, stored, place, "it")
    assert unwrap([], wrap([], lambda count: b"", b"secret", "here"), "here", "it") == b"secret"
