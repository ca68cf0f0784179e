"""The alerts of deploy/prometheus/alerts.yml: what each means, and the pages on which a person acts. Pure."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from services.approval.operations.outcomes import DOCS
from shared.runtime.authentication import Caller
from shared.web.navigation import AREAS

CONSUMER, DEPARTMENT = "messaging_consumer_group_name", "countersign_department"  # labels of alerts


class Link(NamedTuple):
    """A page of Countersign. `labels`: query parameters, and the alert's labels that they are taken from."""

    words: str
    path: str
    labels: tuple[tuple[str, str], ...] = ()

    def filled(self, labels: Mapping[str, str]) -> "Link":
        """Return the link with the query parameters that the labels of an alert give."""
        query = urlencode([(name, labels[label]) for name, label in self.labels if labels.get(label)])
        return Link(self.words, f"{self.path}{'&' if '?' in self.path else '?'}{query}" if query else self.path)


class AlertDescription(NamedTuple):
    """What an alert means, as docs/alerts.md has it, and where to act."""

    meaning: str
    links: tuple[Link, ...] = ()


STOPPED = Link("Stopped cases", "/cases?state=failed", (("department", DEPARTMENT),))
DEAD_LETTERS = Link("Dead letters", "/dead-letters", (("consumer", CONSUMER),))
OPEN_REVIEWS = Link("Cases that wait for a signature", "/cases?state=awaiting-review")
UNFILED = Link("Signed, not in the chart", "/cases?unfiled=1", (("department", DEPARTMENT),))
CONSUMERS = Link("Consumers and workers", "/system")
SERVERS = Link("NATS servers", "/system#nats")
DEPENDENCIES = Link("Dependencies", "/system#deps")
SCHEDULES = Link("Schedules", "/system")
DRAFTERS = Link("Drafters", "/drafters")
VERSIONS = Link("Versions of the knowledge base", "/knowledge/versions")

CATALOGUE: Mapping[str, AlertDescription] = {
    "ReviewNotEscalated": AlertDescription(
        "an escalation is overdue and nobody was notified", (OPEN_REVIEWS, CONSUMERS)
    ),
    "CasesStopped": AlertDescription("cases wait for an operator", (STOPPED, DEAD_LETTERS)),
    "DeadLetters": AlertDescription("a message failed for good within the last hour", (DEAD_LETTERS,)),
    "LagGrows": AlertDescription("messages arrive faster than a service processes them", (CONSUMERS,)),
    "TrailBroken": AlertDescription(
        "a case does not verify: a security incident", (Link("Verify the audit trail", "/verification"),)
    ),
    "NatsNotSyncing": AlertDescription("a power failure may lose acknowledged writes", (SERVERS,)),
    "NatsCertificateEnds": AlertDescription("the NATS certificate expires within thirty days", (SERVERS,)),
    "NatsStorageFills": AlertDescription("more than 80 % of the storage for streams is used", (SERVERS,)),
    "EndpointBudgetNearLimit": AlertDescription(
        "a drafting endpoint has spent 80 % of its requests or tokens for the day", (DRAFTERS,)
    ),
    "NatsRefuses": AlertDescription("NATS denied an operation of a service"),
    "TritonNotReady": AlertDescription("the model server does not answer", (DEPENDENCIES,)),
    "EhrNotAnswering": AlertDescription("the chart can be neither read nor written", (DEPENDENCIES,)),
    "EhrRefusesClient": AlertDescription(
        "the EHR issues no access token, or refuses the one that it issued", (DEPENDENCIES,)
    ),
    "KnowledgeWorse": AlertDescription(
        "the newest version of the knowledge base has worse retrieval metrics, or was held back", (VERSIONS,)
    ),
    "RefreshFailed": AlertDescription(
        "a refresh of the knowledge base failed", (Link("Knowledge base", "/knowledge"),)
    ),
    "ChannelFails": AlertDescription(
        "no notification gets through on a kind of channel",
        (Link("Dead letters of notifications", "/dead-letters?consumer=approval-deliver"),),
    ),
    "FeedSilent": AlertDescription("no HL7v2 message arrives from a sender"),
    "DocumentNotInChart": AlertDescription("a signed document has not reached the chart for an hour", (UNFILED,)),
    "PollFails": AlertDescription("the EHR cannot be polled for discharges", (SCHEDULES, DEPENDENCIES)),
    "SubscriptionSilent": AlertDescription("the EHR sends no notifications any more"),
    "DrafterDrift": AlertDescription(
        "what physicians do with drafts of a live configuration is worse than at first", (DRAFTERS, VERSIONS)
    ),
    "CanaryRolledBack": AlertDescription(
        "a canary was worse than the live configuration; it drafts nothing any more", (DRAFTERS,)
    ),
    "EvaluationUnfinished": AlertDescription(
        "an evaluation of a drafter has not advanced for hours",
        (DRAFTERS, Link("Dead letters of evaluations", "/dead-letters?consumer=drafter-evaluate")),
    ),
    "ShadowNotProgressing": AlertDescription(
        "a shadow drafts no stay, and some wait",
        (DRAFTERS, Link("Dead letters of evaluations", "/dead-letters?consumer=drafter-evaluate")),
    ),
    "TelemetryMissing": AlertDescription("approval sends no telemetry"),
}


def runbook_of(alert: str) -> str:
    """Return the address of the section of docs/alerts.md about an alert."""
    return f"{DOCS}/alerts.md#{alert.lower()}"


def links_for(alert: str, labels: Mapping[str, str], who: Caller) -> list[Link]:
    """Return the pages on which `who` does something about an alert: those that its roles open."""
    return [link.filled(labels) for link in CATALOGUE[alert].links if _may_open(link.path, who)]


def _may_open(path: str, who: Caller) -> bool:
    areas = [area for area in AREAS if area.path != "/" and path.startswith(area.path)]
    return any(set(area.roles) & set(who.roles) for area in areas)
