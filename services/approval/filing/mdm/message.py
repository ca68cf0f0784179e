"""Compose MDM messages: T02 a document, T10 its replacement, T06 an addendum. Pure.

HL7 v2.5.1 chapter 9.6. T08 and T11 are never sent: they are for documents that nobody has used yet (9.6.8, 9.6.11).
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.hl7.write import DEFAULT_CHARSET, components, encode, escape, segment, text_lines, timestamp

Event = Literal["T02", "T06", "T10"]
NAMESPACE = "COUNTERSIGN"  # assigning authority of TXA-12


@dataclass(frozen=True, slots=True)
class MdmIdentifier:
    """An identifier with its assigning authority."""

    value: str
    authority: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """MSH: who sends to whom (MSH-3 to 6), and the message's control id."""

    sender: tuple[str, str]
    receiver: tuple[str, str]
    control_id: str
    processing_id: str
    at: datetime
    charset: str = DEFAULT_CHARSET  # MSH-18


@dataclass(frozen=True, slots=True)
class MdmPatient:
    """PID. `birth_date` is `YYYYMMDD` or shorter, `sex` a code of HL7 table 0001."""

    mrn: MdmIdentifier
    family: str = ""
    given: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """PV1: the patient class (HL7 table 0004) and the visit number."""

    patient_class: str
    number: MdmIdentifier


@dataclass(frozen=True, slots=True)
class Signer:
    """The signer, by the identifier that the receiver knows."""

    id: MdmIdentifier
    family: str = ""
    given: str = ""


@dataclass(frozen=True, slots=True)
class DocumentHeader:
    """TXA: `number` is the receiver's key, `parent` the number of what it replaces or belongs to."""

    number: str
    type: tuple[str, str]  # code of HL7 table 0270, and its text
    completion: str  # HL7 table 0271: LA legally authenticated, AU authenticated
    activity_at: datetime
    signed_at: datetime
    signer: Signer
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """OBX: a text, or a PDF. `code` is the LOINC code and its text."""

    code: tuple[str, str]
    text: str
    pdf: bytes | None = None


@dataclass(frozen=True, slots=True)
class MdmMessage:
    """One message."""

    event: Event
    header: Header
    patient: MdmPatient
    visit: Visit
    document: DocumentHeader
    content: Content


def compose(message: MdmMessage, *, escape_others: bool = False) -> bytes:
    """Return the message as the content of a frame, in the charset of its header.

    `escape_others`: see `encode`. Raises UnencodableError.
    """
    lines = [
        _msh(message.event, message.header),
        segment("EVN", {1: message.event, 2: timestamp(message.header.at)}),
        _pid(message.patient),
        segment("PV1", {1: "1", 2: escape(message.visit.patient_class), 19: _identifier(message.visit.number, "VN")}),
        _txa(message.document, "AP" if message.content.pdf is not None else "TX"),
        *_obx(message.content),
    ]
    text = "".join(f"{line}\r" for line in lines)
    return encode(text, message.header.charset, escape_others=escape_others)


def _msh(event: Event, header: Header) -> str:
    return segment(
        "MSH",
        {
            3: escape(header.sender[0]),
            4: escape(header.sender[1]),
            5: escape(header.receiver[0]),
            6: escape(header.receiver[1]),
            7: timestamp(header.at),
            9: f"MDM^{event}^MDM_T02",  # T06 and T10 have the structure of T02
            10: header.control_id,
            11: header.processing_id,
            12: "2.5.1",
            18: header.charset,
        },
    )


def _pid(patient: MdmPatient) -> str:
    return segment(
        "PID",
        {
            1: "1",
            3: _identifier(patient.mrn, "MR"),
            5: components(patient.family, patient.given),
            7: escape(patient.birth_date),
            8: escape(patient.sex),
        },
    )


def _txa(document: DocumentHeader, presentation: str) -> str:
    signer, signed_at = document.signer, timestamp(document.signed_at)
    person = (signer.id.value, signer.family, signer.given, "", "", "", "", "", signer.id.authority)
    return segment(
        "TXA",
        {
            1: "1",
            2: components(*document.type, "HL70270"),
            3: presentation,
            4: timestamp(document.activity_at),
            6: signed_at,
            9: components(*person),
            12: components(document.number, NAMESPACE),
            13: components(document.parent, NAMESPACE) if document.parent else "",
            17: escape(document.completion),
            19: "AV",
            22: components(*person, "", "", "", "", "", signed_at),  # PPN-15: when it was signed
        },
    )


def _obx(content: Content) -> Iterator[str]:
    code = components(*content.code, "LN")
    if content.pdf is not None:
        data = components("", "application", "pdf", "Base64", base64.b64encode(content.pdf).decode())
        yield segment("OBX", {1: "1", 2: "ED", 3: code, 5: data, 11: "F"})
        return
    for number, line in enumerate(text_lines(content.text), 1):
        yield segment("OBX", {1: str(number), 2: "TX", 3: code, 5: escape(line), 11: "F"})


def _identifier(identifier: MdmIdentifier, type: str) -> str:
    return components(identifier.value, "", "", identifier.authority, type)
