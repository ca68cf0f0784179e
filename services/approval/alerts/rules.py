"""What an answer of Prometheus says about the alerts of Countersign, and who sees which. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from services.approval.alerts.catalogue import CATALOGUE, DEPARTMENT
from shared.contracts.errors import TransientError
from shared.runtime.authentication import Caller

MOST_CHARACTERS = 300  # of a summary or a label
SEVERITIES = ("critical", "warning", "info")

State = Literal["firing", "pending"]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert of Countersign. `pending`: its condition holds, and not yet for as long as the rule requires."""

    name: str
    severity: str
    state: State
    since: datetime | None
    summary: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AlertReport:
    """The alerts, the worst and oldest first. `missing`: rules that Prometheus does not have.

    `failing`: rules that it cannot evaluate, so that whether they fire is not known.
    """

    alerts: tuple[Alert, ...]
    missing: tuple[str, ...]
    failing: tuple[str, ...]


def read_rules(body: bytes) -> AlertReport:
    """Return the alerts in an answer of `/api/v1/rules`.

    Raises TransientError for anything else, and where none of the rules is ours: then nothing could fire.
    """
    try:
        rules = list(_ours(json.loads(body)["data"]["groups"]))
        alerts = [alert for rule in rules for alert in _alerts(rule)]
        failing = {rule["name"] for rule in rules if rule.get("health") == "err"}
    except (ValueError, LookupError, TypeError, AttributeError):
        raise TransientError("Prometheus's answer is no list of rules") from None
    if not rules:
        raise TransientError(
            "this Prometheus has none of the alert rules of Countersign (deploy/prometheus/alerts.yml)"
        )
    known = {rule["name"] for rule in rules}
    return AlertReport(
        tuple(sorted(alerts, key=_urgency)),
        tuple(name for name in CATALOGUE if name not in known),
        tuple(name for name in CATALOGUE if name in failing),
    )


def _ours(groups: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield the alert rules of Countersign; a Prometheus of a hospital has many others."""
    for group in groups:
        yield from (rule for rule in group["rules"] if rule.get("type") == "alerting" and rule["name"] in CATALOGUE)


def _alerts(rule: Mapping[str, Any]) -> Iterator[Alert]:
    for item in rule.get("alerts") or ():
        labels = {str(name): _short(value) for name, value in item["labels"].items()}
        severity = labels.get("severity", "")
        yield Alert(
            name=rule["name"],
            severity=severity if severity in SEVERITIES else "warning",
            state="firing" if item["state"] == "firing" else "pending",
            since=_time(item.get("activeAt")),
            summary=_short((item.get("annotations") or {}).get("summary", "")),
            labels={name: value for name, value in labels.items() if name not in ("alertname", "severity")},
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


def _time(text: Any) -> datetime | None:
    """Return a time of Prometheus's, which may have nanoseconds; None where there is none."""
    return datetime.fromisoformat(text).astimezone(UTC) if isinstance(text, str) and text else None


def _urgency(alert: Alert) -> tuple[Any, ...]:
    oldest = alert.since or datetime.max.replace(tzinfo=UTC)
    return alert.state != "firing", SEVERITIES.index(alert.severity), oldest, alert.name


def visible(alerts: Iterable[Alert], who: Caller) -> list[Alert]:
    """Return the alerts that `who` may see: callers of single departments do not see those of others."""
    return [
        alert
        for alert in alerts
        if DEPARTMENT not in alert.labels or who.can_access_department(alert.labels[DEPARTMENT])
    ]
