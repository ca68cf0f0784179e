"""Decide what a message means: the fact that it reports, or why it reports none, or why it is refused. Pure.

Sources of the rules: HL7 v2.5.1 chapter 3 (ADT) and 2.9.2 (acknowledgments); IHE PAM.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.ingest.hl7.sender import Sender, VisitField
from services.ingest.hl7.timestamps import instant, is_date, offset_in
from shared.contracts.envelope import sha256_hex
from shared.contracts.visits import (
    CANCELLED,
    DISCHARGED,
    MERGED,
    PENDING,
    PENDING_CANCELLED,
    IdentifierValue,
    VisitReported,
    patient_digest,
)
from shared.hl7.message import Message

Effect = Literal["opens", "withdraws", "merges", "prepares", "ends-preparation", "ignored", "refused"]
# Of a fact, with the words of its assessment.
_EFFECTS: dict[str, tuple[Effect, str]] = {
    DISCHARGED: ("opens", "an inpatient was discharged"),
    PENDING: ("prepares", "the discharge of an inpatient is pending"),
    PENDING_CANCELLED: ("ends-preparation", "the discharge is not pending any more"),
    **dict.fromkeys(CANCELLED, ("withdraws", "the discharge or admission was cancelled")),
}
# Admitted, transferred, becomes an inpatient, updated, pending discharge: the patient is there.
CENSUS = ("a01", "a02", "a06", "a08", "a16")
ANSWERS = ("ACK", "MCF")  # message types of acknowledgments: immediate, and delayed (until 2.4)
MAX_TEXT = 200  # characters of an identifier, as in `IdentifierValue`


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a message is refused. By HL7 2.9.2.2: `reject` may be sent again as it is, `error` must not.

    `code` is of HL7 table 0357, `location` an ERL such as `PV1^1^19`. None of them contains a value of the message.
    """

    kind: Literal["reject", "error"]
    code: str
    location: str
    text: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is done about a message. `event` is its trigger in lower case, or `other`: a metric's attribute."""

    event: str
    effect: Effect
    reason: str
    fact: VisitReported | None = None
    problem: Problem | None = None
    is_answer: bool = False  # an acknowledgment: it is never answered
    died: bool | None = None  # what the message says; None: nothing


OVERSIZED = Problem("reject", "207", "", "the message is larger than 16 MiB")
UTF16 = Problem("reject", "103", "MSH^1^18", "UTF-16 is not supported")


def assess(message: Message, senders: Sequence[Sender], received_at: datetime) -> tuple[Assessment, Sender]:
    """Return what the message means, and whose it is; `senders` are those of the connection, at least one."""
    origin = message.raw("MSH", 3), message.raw("MSH", 4)
    own = [
        item for item in senders if item.takes_origin(message.component(origin[0], 1), message.component(origin[1], 1))
    ]
    sender = own[0] if own else senders[0]
    event = trigger(message)
    if message.value("MSH", 9) in ANSWERS or message.named("MSA"):
        return Assessment("other", "ignored", "an acknowledgment is never answered", is_answer=True), sender
    problem = _problem(message, sender, known=bool(own))
    if problem is not None:
        return Assessment(event, "refused", problem.text, problem=problem), sender
    return _Reading(message, sender, event, received_at).assess(), sender


def trigger(message: Message) -> str:
    """Return the trigger event in lower case, such as `a03`; `other` for none of that form."""
    found = (message.value("MSH", 9, 2) or message.value("EVN", 1)).lower()  # 2.1 has it in EVN-1 only
    return found if message.value("MSH", 9) == "ADT" and re.fullmatch(r"a[0-9]{2}", found) else "other"


def census_visit(message: Message, sender: Sender) -> IdentifierValue | None:
    """Return the visit of a message that says that an inpatient is there or comes; None for others."""
    if trigger(message) not in CENSUS or sender.is_inpatient(message.value("PV1", 2)) is False:
        return None
    found = visit_of(message, sender)
    return found if isinstance(found, IdentifierValue) else None


def visit_of(message: Message, sender: Sender) -> IdentifierValue | Problem:
    """Return the visit that a message is about, or why it names none."""
    for field in sender.visit_fields:
        segment, _, number = field.partition("-")
        value = message.text(message.value(segment, int(number)), sender.fallback_charset).strip()
        if len(value) > MAX_TEXT:
            return Problem("error", "102", _location(field), "the visit number is too long")
        if value:
            return IdentifierValue(system=sender.visit_systems.get(field, sender.visit_system), value=value)
    return Problem("error", "101", _location(sender.visit_fields[0]), "the visit number is missing")


def _problem(message: Message, sender: Sender, *, known: bool) -> Problem | None:
    """Return why a message of any kind is refused; None where it is not."""
    if not re.fullmatch(r"(2(\.[0-9]+){0,3})?", message.value("MSH", 12)):
        return Problem("reject", "203", "MSH^1^12", "the version is not HL7 2.x")
    if message.value("MSH", 9) != "ADT":
        return Problem("reject", "200", "MSH^1^9", "only ADT messages are accepted")
    if message.value("MSH", 11) not in ("", *sender.processing_ids):
        return Problem("reject", "202", "MSH^1^11", "the processing id is not accepted")
    if not known:
        return Problem("reject", "103", "MSH^1^3", "the sending application or facility is not configured")
    if not message.raw("MSH", 10):
        return Problem("error", "101", "MSH^1^10", "the message control id is missing")
    if not (message.value("MSH", 9, 2) or message.value("EVN", 1)):
        return Problem("error", "101", "MSH^1^9", "the trigger event is missing")
    return None


class _Reading:
    """One ADT message, read with its sender's settings."""

    def __init__(self, message: Message, sender: Sender, event: str, received_at: datetime) -> None:
        self._message, self._sender, self._event = message, sender, event
        sent_at = message.value("MSH", 7)
        self._zone = offset_in(sent_at) or sender.zone
        self._evn2 = self._instant("EVN", 2)
        self._sent_at = self._instant("MSH", 7)
        self._recorded_at = self._evn2 or self._sent_at or received_at

    def assess(self) -> Assessment:
        if self._event in MERGED:
            return self._merge()
        pending = self._event in (PENDING, PENDING_CANCELLED)
        if self._event not in _EFFECTS or (pending and not self._sender.prepare_on_pending):
            return Assessment(self._event, "ignored", "this event opens and withdraws no case", died=self._died())
        inpatient = self._sender.is_inpatient(self._message.value("PV1", 2))
        if self._event in (DISCHARGED, PENDING) and inpatient is False:
            return Assessment(self._event, "ignored", "the patient class gets no summary", died=self._died())
        visit = visit_of(self._message, self._sender)
        if not isinstance(visit, IdentifierValue):
            if inpatient is False:
                return Assessment(self._event, "ignored", "the patient class gets no summary")
            return Assessment(self._event, "refused", visit.text, problem=visit)
        fact = VisitReported(
            event=self._event,
            sender=self._sender.name,
            key=self._key(visit),
            recorded_at=self._recorded_at,
            occurred_at=self._occurred_at() if self._event == DISCHARGED else None,
            visit=visit,
            patients=self._patients("PID", 3, 0),
            department=self._department(),
            attending=self._attending(),
            died=self._died() if self._event == DISCHARGED else None,
            inpatient=inpatient or None,
            expected_at=self._expected_at() if self._event == PENDING else None,
        )
        effect, reason = _EFFECTS[self._event]
        return Assessment(self._event, effect, reason, fact, died=self._died() if effect == "opens" else None)

    def _merge(self) -> Assessment:
        count = len(self._message.named("MRG"))
        priors = tuple(digest for which in range(count) for digest in self._patients("MRG", 1, which))
        if not priors:
            return Assessment(self._event, "ignored", "no prior patient identifier of ours is named")
        count = len(self._message.named("PID"))
        patients = tuple(digest for which in range(count) for digest in self._patients("PID", 3, which))
        key = sha256_hex("|".join((self._event, self._recorded_at.isoformat(), *patients, *priors)).encode())
        fact = VisitReported(
            event=self._event,
            sender=self._sender.name,
            key=key,
            recorded_at=self._recorded_at,
            patients=patients,
            priors=priors,
        )
        return Assessment(self._event, "merges", "patients were merged: their open cases are told to a person", fact)

    def _key(self, visit: IdentifierValue) -> str:
        """Return the digest of what makes two messages the same fact. Control ids repeat, and resends change MSH-7."""
        discharged = self._last("PV1", 45)
        times = [self._stamp("EVN", 2), discharged and (_iso(instant(discharged, self._zone)) or discharged)]
        if not any(times):
            times.append(self._stamp("MSH", 7))
        return sha256_hex("|".join((visit.value, self._event, *times)).encode())

    def _occurred_at(self) -> datetime | None:
        """Return the instant of the discharge: PV1-45, EVN-6, then EVN-2, MSH-7.

        None where only the day is said: the Encounter knows better than the time at which somebody recorded it.
        """
        discharged, happened = self._last("PV1", 45), self._message.value("EVN", 6)
        found = instant(discharged, self._zone) or instant(happened, self._zone)
        if found is not None or is_date(discharged) or is_date(happened):
            return found
        return self._evn2 or self._sent_at

    def _expected_at(self) -> datetime | None:
        """Return when the discharge is expected: PV2-9, EVN-3; None where only a day or nothing is said."""
        return self._instant("PV2", 9) or self._instant("EVN", 3)

    def _patients(self, segment: str, field: int, which: int) -> tuple[str, ...]:
        """Return the digests of the MRNs of a field: of type MR, and of the authority where one is set."""
        message, sender, found = self._message, self._sender, list[str]()
        for item in message.repetitions(segment, field, which):
            types = sender.mrn_types if segment == "PID" else (*sender.mrn_types, "")  # MRG-1 often has no type
            authority = message.component(item, 4)
            ours = sender.mrn_authority is None or authority == sender.mrn_authority
            if ours and message.component(item, 5) in types and (mrn := self._text(message.component(item, 1))):
                found.append(patient_digest(sender.mrn_system, mrn))
        return tuple(dict.fromkeys(found))

    def _attending(self) -> IdentifierValue | None:
        if self._sender.practitioner_system is None:
            return None
        for item in self._message.repetitions("PV1", 7):
            authority, id = self._message.component(item, 9), self._text(self._message.component(item, 1))
            if self._sender.practitioner_authority in (None, authority) and 0 < len(id) <= MAX_TEXT:
                return IdentifierValue(system=self._sender.practitioner_system, value=id)
        return None

    def _department(self) -> str | None:
        codes = (self._message.value("PV1", 10), self._message.value("PV1", 3))
        return next((self._sender.departments[code] for code in codes if code in self._sender.departments), None)

    def _died(self) -> bool | None:
        """Return whether the message says that the patient died; None where it says nothing about it."""
        disposition = self._message.value("PV1", 36)
        if disposition in self._sender.died or self._message.value("PID", 30).upper() == "Y":
            return True
        return False if disposition else None

    def _last(self, segment: str, field: int) -> str:
        return self._message.component(self._message.repetitions(segment, field)[-1], 1)

    def _instant(self, segment: str, field: int) -> datetime | None:
        return instant(self._message.value(segment, field), self._zone)

    def _stamp(self, segment: str, field: int) -> str:
        """Return a time as it counts for identity: its instant, else the text."""
        return _iso(self._instant(segment, field)) or self._message.value(segment, field)

    def _text(self, value: str) -> str:
        return self._message.text(value, self._sender.fallback_charset).strip()


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else ""


def _location(field: VisitField) -> str:
    segment, _, number = field.partition("-")
    return f"{segment}^1^{number}"
