"""Subjects of the bus and the tokens they are made of: departments, ids, event names; never patient data.

EHR stream        ehr.encounter.<fact>.<dept>.<encounter>, ehr.task.updated.<task>, ehr.reimport.<case>
DISCHARGE stream  discharge.<dept>.<case>.<event>
TIMERS stream     timers.escalation.<case>.<level>  →  timers.due.escalation.<case>.<level>
"""

import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class CaseRef:
    """A case as subjects name it."""

    department: str
    id: str

    @property
    def filter(self) -> str:
        """Every event of the case, whatever its type, in whatever department it was opened."""
        return f"discharge.*.{self.id}.*"

    def subject(self, event: str) -> str:
        return f"discharge.{self.department}.{self.id}.{event}"


def case_id(organization: str, encounter_id: str) -> str:
    """The one case of an encounter: a UUIDv5, so the same discharge arriving by three ways is one case."""
    return str(uuid5(NAMESPACE, f"{organization}/{encounter_id}"))


def derived_id(cause: str, event: str) -> str:
    """The id of the event that `cause` leads to: the same however often the cause is delivered."""
    return str(uuid5(NAMESPACE, f"{cause}/{event}"))


def encounter_subject(fact: str, department: str, encounter_id: str) -> str:
    """`ehr.encounter.<fact>.<dept>.<encounter>`. FHIR ids may contain dots, subject tokens may not."""
    return f"ehr.encounter.{fact}.{department}.{encounter_id.replace('.', '%2E')}"


def parse_encounter_subject(subject: str) -> tuple[str, str, str]:
    """Fact, department and encounter id of an EHR subject.

    Raises PermanentError when the subject is not of that form.
    """
    tokens = subject.split(".")
    if len(tokens) != 5 or not re.fullmatch(DEPARTMENT, tokens[3]):
        raise PermanentError("the subject is not ehr.encounter.<fact>.<dept>.<encounter>")
    return tokens[2], tokens[3], tokens[4].replace("%2E", ".")


def task_subject(task_id: str) -> str:
    """`ehr.task.updated.<task>`."""
    return f"ehr.task.updated.{task_id.replace('.', '%2E')}"


def parse_task_subject(subject: str) -> str:
    """The Task's id in an EHR subject.

    Raises PermanentError when the subject is not of that form.
    """
    tokens = subject.split(".")
    if len(tokens) != 4 or tokens[:3] != ["ehr", "task", "updated"]:
        raise PermanentError("the subject is not ehr.task.updated.<task>")
    return tokens[3].replace("%2E", ".")


def reimport_subject(case: str) -> str:
    """`ehr.reimport.<case>`."""
    return f"ehr.reimport.{case}"


def parse_reimport_subject(subject: str) -> str:
    """The case's id. Raises PermanentError when the subject is not of that form."""
    tokens = subject.split(".")
    if len(tokens) != 3 or tokens[:2] != ["ehr", "reimport"] or not re.fullmatch(CASE_ID, tokens[2]):
        raise PermanentError("the subject is not ehr.reimport.<case>")
    return tokens[2]


def parse_case_subject(subject: str) -> tuple[CaseRef, str]:
    """The case and the event name of a DISCHARGE subject.

    Raises PermanentError when the subject is not of that form.
    """
    tokens = subject.split(".")
    if len(tokens) != 4 or tokens[0] != "discharge":
        raise PermanentError("the subject is not discharge.<dept>.<case>.<event>")
    return CaseRef(tokens[1], tokens[2]), tokens[3]


def timer_subject(case: str, level: int) -> str:
    return f"timers.escalation.{case}.{level}"


def due_subject(case: str, level: int) -> str:
    return f"timers.due.escalation.{case}.{level}"
