"""A health check as the API and the page show it: its result, what to do, and the page of the runbook. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from services.approval.operations.outcomes import DOCS
from shared.runtime.checks.findings import Finding, Group, Level

State = Literal["ok", "warning", "failed", "unknown"]
STATES: dict[Level, State] = {"ok": "ok", "warning": "warning", "fault": "failed", "unknown": "unknown"}
GUIDE = "how-to/check-an-installation.md"
# By the beginning of the check's name; the first that fits.
RUNBOOKS = (
    ("durability", "alerts.md#natsnotsyncing"),
    ("certificate", "alerts.md#natscertificateends"),
    ("stream storage", "alerts.md#natsstoragefills"),
    ("storage of the account", "alerts.md#natsstoragefills"),
    ("service ", "alerts.md#laggrows"),
    ("consumer ", "alerts.md#laggrows"),
    ("dead letters", "alerts.md#deadletters"),
    ("documents", "alerts.md#documentnotinchart"),
    ("decisions in the EHR", "how-to/backup-and-restore.md"),
    ("Tasks in the EHR", "how-to/ehr-inbox.md"),
    ("checkpoints", "how-to/verify-the-audit-trail.md"),
    ("schedule Poll of the EHR", "alerts.md#pollfails"),
    ("EHR launch", "how-to/smart-launch.md"),
    ("EHR scopes", "how-to/connect-your-ehr.md"),
    ("EHR", "alerts.md#ehrnotanswering"),
    ("write-back", "how-to/file-into-the-chart.md"),
    ("MDM receiver", "how-to/file-into-the-chart.md"),
    ("identity provider", "how-to/sign-on.md"),
    ("model", "alerts.md#tritonnotready"),
    ("budgets of endpoints", "alerts.md#endpointbudgetnearlimit"),
    ("alert rules", "how-to/telemetry.md"),
    ("telemetry", "alerts.md#telemetrymissing"),
    ("knowledge", "how-to/knowledge-base.md"),
    ("production checks", "reference/production-checks.md"),
)
MODELS, BUDGETS = "model server", "budgets of endpoints"
BY_DRAFTER = "run countersign doctor with the environment of the drafter, or connect COUNTERSIGN_PROMETHEUS_URL"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """What was checked, in which group, the result, and what to do. `runbook`: URL of the page that explains it.

    `action` and `runbook` are empty where nothing is to be done.
    """

    group: str
    name: str
    state: State
    detail: str
    action: str
    runbook: str


def health_check(finding: Finding) -> HealthCheck:
    """Return a finding as a check, with the page of the runbook."""
    state = STATES[finding.level]
    pages = (page for start, page in RUNBOOKS if finding.what.startswith(start))
    runbook = "" if state == "ok" else f"{DOCS}/{next(pages, GUIDE)}"
    return HealthCheck(finding.group, finding.what, state, finding.says, finding.do, runbook)


def not_by_approval() -> list[Finding]:
    """Return what approval's rights and settings do not show, and who can check it."""
    users, server, work, connections = Group("users"), Group("server"), Group("work"), Group("connections")
    do = "run countersign doctor where NATS can be reached, with COUNTERSIGN_SEEDS_FILE"
    users.unknown("permissions", "approval has no keys of other NATS users", do)
    do = "look for `cipher` in the server's configuration (docs/how-to/install-compose.md)"
    server.unknown("encryption", "a NATS server does not say whether its store is encrypted", do)
    work.unknown("knowledge", "approval may not read the knowledge base", "countersign knowledge status")
    do = "run countersign doctor with the environment of ingest"
    says = "Subscriptions, planned discharges and the searches of the census are ingest's"
    connections.unknown("notifications of the EHR", says, do)
    return [*users.found, *server.found, *work.found, *connections.found]


def model_findings(firing: frozenset[str] | None, ready: Mapping[str, bool]) -> list[Finding]:
    """Return what is known of models.

    `firing`: the names of the alerts that fire; None where they are not connected. `ready`: the checks of `/readyz` of
    services that run in this process.
    """
    group = Group("connections")
    for name, answers in ready.items():
        if answers:
            group.ok(f"{MODELS}: {name}", "it answers")
        else:
            group.fault(f"{MODELS}: {name}", "it does not answer", "restart it, and see its log")
    if firing is None:
        if not ready:
            group.unknown(MODELS, "approval does not use it, and no alerts are connected", BY_DRAFTER)
        group.unknown(BUDGETS, "approval may not read them, and no alerts are connected", BY_DRAFTER)
        return group.found
    if "TritonNotReady" in firing:
        group.fault(MODELS, "the alert TritonNotReady fires", "restart it, and see its log")
    else:
        group.ok(MODELS, "the alert TritonNotReady does not fire")
    if "EndpointBudgetNearLimit" in firing:
        group.warning(BUDGETS, "the alert EndpointBudgetNearLimit fires", "countersign alerts list")
    else:
        group.ok(BUDGETS, "the alert EndpointBudgetNearLimit does not fire")
    return group.found
