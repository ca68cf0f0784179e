"""The subjects of every stream, and the tokens they are made of: departments, ids, event names; never patient data.

EHR             ehr.encounter.<fact>.<dept>.<encounter>, ehr.encounter.updated.<encounter>, ehr.task.updated.<task>
                ehr.appointment.updated.<appointment>
                ehr.visit.<event>.<digest>, ehr.reimport.<case>
DISCHARGE       discharge.<dept>.<case>.<event>
KNOWLEDGE       knowledge.<source>.<refresh>.<event>[.<n>]; `all` is the source where a refresh covers several
DRAFTERS        drafters.<document>.<event>
EVALUATIONS     evaluations.<evaluation>.<event>[.<n>]

TIMERS          timers.escalation.<case>.<level>, timers.reconcile.<of>; timers.due.<...> when they have fired
REFRESH_TIMERS  timers.refresh.<source>, timers.again.<refresh>, timers.peak.<window>, timers.poll.<of>,
                timers.census.<department>; the same
NOTIFY          notify.<case>.<escalation>.<channel>, and its receipt notified.<case>.<escalation>.<channel>
                webhook.deliver.<webhook>.<delivery>, and each attempt webhook.attempted.<webhook>.<delivery>
ACCESS          access.<event>.<case>; `-` where no case is concerned
ALERTS          alert.<severity>.<kind>
DEADLETTER      deadletter.<service>.<consumer>, deadletter.redriven.<n>, deadletter.discarded.<n>
ADVISORIES      $JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.<stream>.<consumer>

Names in capitals are filters, in which `*` stands for one token and `>` for all that follow.
"""

import re
from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid5

from shared.contracts.errors import PermanentError

# FHIR R4 `id`: https://hl7.org/fhir/R4/datatypes.html#id
# FHIR ids except `.` and those that begin with `..`, which would change a path.
FHIR_ID_PART = r"(?:[A-Za-z0-9\-][A-Za-z0-9\-.]{0,63}|\.[A-Za-z0-9\-][A-Za-z0-9\-.]{0,62})"
FHIR_ID = rf"^{FHIR_ID_PART}$"
CASE_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
DEPARTMENT = r"^[a-z0-9][a-z0-9-]{0,39}$"

# Root of every derived id. Changing it changes all case ids.
NAMESPACE = UUID("5a0f6a1c-1a57-5f0e-9d3b-6f2b8c0de5a1")


ChangedResource = Literal["encounter", "appointment", "task"]  # resources whose changes the EHR reports

WILDCARDS = ("*", ">")  # one token, and all that follow

EHR_EVENTS = "ehr.>"
ENCOUNTER_EVENTS = "ehr.encounter.>"
ENCOUNTER_DISCHARGED = "ehr.encounter.discharged.>"
DISCHARGE_CANCELLED = "ehr.encounter.discharge-cancelled.>"
PENDING_DISCHARGES = ("ehr.encounter.discharge-pending.>", "ehr.encounter.discharge-pending-cancelled.>")
ENCOUNTER_UPDATED = "ehr.encounter.updated.*"
APPOINTMENT_UPDATED = "ehr.appointment.updated.*"
VISIT_EVENTS = "ehr.visit.*.*"
TASK_UPDATED = "ehr.task.updated.*"
REIMPORT_REQUESTED = "ehr.reimport.*"
CASE_EVENTS = "discharge.*.*.*"
KNOWLEDGE_EVENTS = "knowledge.>"
DRAFTER_EVENTS = "drafters.*.*"
EVALUATION_EVENTS = "evaluations.>"
NOTIFICATIONS = "notify.*.*.*"
NOTIFICATION_RECEIPTS = "notified.*.*.*"
WEBHOOK_DELIVERIES = "webhook.deliver.*.*"
WEBHOOK_ATTEMPTS = "webhook.attempted.*.*"
NOTIFY_SUBJECTS = (NOTIFICATIONS, NOTIFICATION_RECEIPTS, WEBHOOK_DELIVERIES, WEBHOOK_ATTEMPTS)
ACCESS_EVENTS = "access.*.*"
DRAFT_VIEWED = "access.viewed.*"
ACCESS_REFUSED = "access.refused.*"
ALERTS = "alert.>"
EVERY_ALERT = "alert.*.*"
DEAD_LETTERS = "deadletter.>"
DEAD_LETTERS_REDRIVEN = "deadletter.redriven.*"
DEAD_LETTERS_DISCARDED = "deadletter.discarded.*"
MAX_DELIVERIES_ADVISORIES = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"

ESCALATION_TIMER = "escalation.>"  # kinds of timers; `timer_filter` and `fired_timer_filter` make subjects of them
RECONCILE_TIMER = "reconcile.*"
REFRESH_TIMER = "refresh.*"
RETRY_TIMER = "again.*"
PEAK_TIMER = "peak.*"
POLL_TIMER = "poll.*"
CENSUS_TIMER = "census.*"
REFRESH_TIMER_KINDS = (REFRESH_TIMER, RETRY_TIMER, PEAK_TIMER, POLL_TIMER, CENSUS_TIMER)  # of REFRESH_TIMERS


@dataclass(frozen=True, slots=True)
class CaseRef:
    """A case as subjects name it."""

    department: str
    id: str

    @property
    def filter(self) -> str:
        """Return the filter of every event of the case, in whatever department it was opened."""
        return f"discharge.*.{self.id}.*"

    def subject(self, event: str) -> str:
        return f"discharge.{self.department}.{self.id}.{event}"


def subject_matches(filter: str, subject: str) -> bool:
    """Return whether the filter takes the subject; where `subject` is a filter itself, whether it takes all of that.

    NATS' own rules: `*` is one token, `>` all that follow, of which there is one at least.
    """
    wanted, given = filter.split("."), subject.split(".")
    if wanted[-1] == ">":
        if len(given) < len(wanted):
            return False
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    matching = (one == other or (one == "*" and other != ">") for one, other in zip(wanted, given, strict=False))
    return len(wanted) == len(given) and all(matching)


def has_wildcards(subject: str) -> bool:
    """Return whether the subject is a filter."""
    return any(token in WILDCARDS for token in subject.split("."))


def fill_wildcards(filter: str, word: str) -> str:
    """Return one subject that the filter takes: `discharge.*.*.filed` → `discharge.x.x.filed`."""
    return ".".join(word if token in WILDCARDS else token for token in filter.split("."))


def case_id(organization: str, encounter_id: str) -> str:
    """Return the case id of an encounter, a UUIDv5: a discharge that is reported in three ways is one case."""
    return str(uuid5(NAMESPACE, f"{organization}/{encounter_id}"))


def derived_id(cause: str, event: str) -> str:
    """Return the id of the event that `cause` leads to, the same for every delivery of the cause."""
    return str(uuid5(NAMESPACE, f"{cause}/{event}"))


def encounter_subject(fact: str, department: str, encounter_id: str) -> str:
    """Return `ehr.encounter.<fact>.<dept>.<encounter>`. FHIR ids may contain dots, subject tokens may not."""
    return f"ehr.encounter.{fact}.{department}.{encounter_id.replace('.', '%2E')}"


def parse_encounter_subject(subject: str) -> tuple[str, str, str]:
    """Return fact, department and encounter id of an EHR subject.

    Raises PermanentError when the subject is not of that form.
    """
    tokens = subject.split(".")
    if len(tokens) != 5 or not re.fullmatch(DEPARTMENT, tokens[3]):
        raise PermanentError("the subject is not ehr.encounter.<fact>.<dept>.<encounter>")
    return tokens[2], tokens[3], tokens[4].replace("%2E", ".")


def updated_subject(resource: ChangedResource, id: str) -> str:
    """Return `ehr.<resource>.updated.<id>`."""
    return f"ehr.{resource}.updated.{id.replace('.', '%2E')}"


def parse_updated_subject(resource: ChangedResource, subject: str) -> str:
    """Return the id of the resource in an EHR subject.

    Raises PermanentError when the subject is not of that form.
    """
    tokens = subject.split(".")
    if len(tokens) != 4 or tokens[:3] != ["ehr", resource, "updated"]:
        raise PermanentError(f"the subject is not ehr.{resource}.updated.<{resource}>")
    return tokens[3].replace("%2E", ".")


def visit_subject(event: str, token: str) -> str:
    """`ehr.visit.<event>.<token>`; `event` is a trigger such as `a03`, or `*`; for `token` see `visits.visit_token`."""
    return f"ehr.visit.{event}.{token}"


def parse_visit_subject(subject: str) -> tuple[str, str]:
    """Trigger event and token of an `ehr.visit` subject.

    Raises PermanentError when the subject is not of that form.
    """
    tokens = subject.split(".")
    if len(tokens) != 4 or tokens[:2] != ["ehr", "visit"] or not re.fullmatch(r"[0-9a-f]{32}", tokens[3]):
        raise PermanentError("the subject is not ehr.visit.<event>.<digest>")
    return tokens[2], tokens[3]


def reimport_subject(case: str) -> str:
    """Return `ehr.reimport.<case>`."""
    return f"ehr.reimport.{case}"


def parse_reimport_subject(subject: str) -> str:
    """Return the case's id. Raises PermanentError when the subject is not of that form."""
    tokens = subject.split(".")
    if len(tokens) != 3 or tokens[:2] != ["ehr", "reimport"] or not re.fullmatch(CASE_ID, tokens[2]):
        raise PermanentError("the subject is not ehr.reimport.<case>")
    return tokens[2]


def parse_case_subject(subject: str) -> tuple[CaseRef, str]:
    """Return the case and the event name of a DISCHARGE subject.

    Raises PermanentError when the subject is not of that form.
    """
    tokens = subject.split(".")
    if len(tokens) != 4 or tokens[0] != "discharge":
        raise PermanentError("the subject is not discharge.<dept>.<case>.<event>")
    return CaseRef(tokens[1], tokens[2]), tokens[3]


def case_filter(event: str) -> str:
    """Return the filter of one event of every case: `discharge.*.*.<event>`."""
    return f"discharge.*.*.{event}"


def knowledge_subject(source: str, refresh: str, event: str, number: int | str | None = None) -> str:
    """Return `knowledge.<source>.<refresh>.<event>[.<n>]`; `number` is that of a batch."""
    return f"knowledge.{source}.{refresh}.{event}" + ("" if number is None else f".{number}")


def drafter_subject(document: str, event: str) -> str:
    """Return `drafters.<document>.<event>`; both may be `*`."""
    return f"drafters.{document}.{event}"


def parse_drafter_subject(subject: str) -> tuple[str, str]:
    """Return the kind of document and the event. Raises PermanentError when the subject is not of that form."""
    tokens = subject.split(".")
    if len(tokens) != 3 or tokens[0] != "drafters":
        raise PermanentError("the subject is not drafters.<document>.<event>")
    return tokens[1], tokens[2]


def evaluation_subject(evaluation: str, event: str, number: int | str | None = None) -> str:
    """Return `evaluations.<evaluation>.<event>[.<n>]`; `number` is that of a stay."""
    return f"evaluations.{evaluation}.{event}" + ("" if number is None else f".{number}")


def timer_filter(kind: str) -> str:
    """Return the filter of timers of a kind that are set."""
    return f"timers.{kind}"


def fired_timer_filter(kind: str) -> str:
    """Return the filter of timers of a kind that have fired."""
    return f"timers.due.{kind}"


def notification_subject(case: str, escalation: str, channel: str) -> str:
    return f"notify.{case}.{escalation}.{channel}"


def receipt_subject(case: str, escalation: str, channel: str) -> str:
    """Return the subject of the receipt of a sent notification."""
    return f"notified.{case}.{escalation}.{channel}"


def webhook_delivery_subject(webhook: str, delivery: str) -> str:
    return f"webhook.deliver.{webhook}.{delivery}"


def webhook_attempt_subject(webhook: str, delivery: str) -> str:
    """Return the subject of the attempts of a delivery; `delivery` may be `*`."""
    return f"webhook.attempted.{webhook}.{delivery}"


def access_subject(event: str, case: str | None) -> str:
    return f"access.{event}.{case or '-'}"


def alert_subject(severity: str, kind: str) -> str:
    return f"alert.{severity}.{kind}"


def dead_letter_subject(service: str, consumer: str) -> str:
    return f"deadletter.{service}.{consumer}"


def resolution_subject(outcome: str, sequence: int | str) -> str:
    """Return the subject of the resolution of dead letter `sequence`; `outcome` is redriven, discarded, or `*`."""
    return f"deadletter.{outcome}.{sequence}"


def advisory_subject(stream: str, consumer: str) -> str:
    """Return the subject of advisories that a message was delivered as often as its consumer allows."""
    return f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{consumer}"


def timer_subject(case: str, level: int | str) -> str:
    """Return the subject of the timer of one escalation level of a case; `level` may be `*`."""
    return timer_filter(f"escalation.{case}.{level}")


def due_subject(case: str, level: int | str) -> str:
    """Return the subject of that timer when it has fired."""
    return fired_timer_filter(f"escalation.{case}.{level}")


def reconcile_subjects(of: str) -> tuple[str, str]:
    """Return the subjects of a periodic timer, set and fired: tasks, checkpoint or retention."""
    return timer_filter(f"reconcile.{of}"), fired_timer_filter(f"reconcile.{of}")


def refresh_timer_subjects(source: str) -> tuple[str, str]:
    """Return the subjects of the timer of a source's next scheduled refresh, set and fired."""
    return timer_filter(f"refresh.{source}"), fired_timer_filter(f"refresh.{source}")


def retry_timer_subjects(refresh: str) -> tuple[str, str]:
    """Return the subjects of the timer of a refresh's next attempt, set and fired."""
    return timer_filter(f"again.{refresh}"), fired_timer_filter(f"again.{refresh}")


def peak_timer_subjects(window: str) -> tuple[str, str]:
    """Return the subjects of the timer of the next peak hours, set and fired."""
    return timer_filter(f"peak.{window}"), fired_timer_filter(f"peak.{window}")


def poll_timer_subjects(of: str) -> tuple[str, str]:
    """Return the subjects of the timer of the next poll of the EHR, set and fired; `of`: encounters."""
    return timer_filter(f"poll.{of}"), fired_timer_filter(f"poll.{of}")


def census_timer_subjects(department: str) -> tuple[str, str]:
    """Return the subjects of the timer of a department's next census, set and fired."""
    return timer_filter(f"census.{department}"), fired_timer_filter(f"census.{department}")
