"""The signed text as a FHIR R4 document: a Bundle whose Composition has a coded section for each kind of content. Pure.

https://hl7.org/fhir/R4/documents.html, https://hl7.org/fhir/R4/composition.html. Patient,
stay and signer are in the Bundle, as far as the signed text describes them. Facts stay references to the EHR's
resources: a copy would contain more than what was signed.
"""

import json
import re
from collections.abc import Iterator

from services.approval.filing import resources, signed_resources
from services.approval.filing.renditions import codes, xhtml
from services.approval.filing.renditions.codes import Kind
from services.approval.filing.renditions.signed import Block, Line, SignedText, writable
from services.approval.filing.renditions.source import Source
from shared.clinical.elements import Resource
from shared.contracts.timestamps import format_timestamp

_RELATIVE = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_ABSOLUTE = re.compile(r"(?:https?://|urn:uuid:|urn:oid:)[^\s#]+")
_SEXES = ("male", "female", "other", "unknown")
_CLASS_UNKNOWN = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
}


def write(source: Source) -> bytes:
    """Return the Bundle as JSON, UTF-8."""
    signer = _url(source, source.approved.signer or "") or f"urn:uuid:{source.id_of('signer')}"
    others = list(_referenced_entries(source, signer))
    composition = _composition(source, signer, {entry["fullUrl"] for entry in others})
    bundle = {
        "resourceType": "Bundle",
        "id": source.id_of("bundle"),
        "meta": {"security": signed_resources.security_labels(source.approved)},
        "language": xhtml.LANGUAGE,
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{source.id_of('bundle')}"},
        "type": "document",
        "timestamp": format_timestamp(source.at),
        "entry": [{"fullUrl": f"urn:uuid:{composition['id']}", "resource": composition}, *others],
    }
    return json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode()


def _composition(source: Source, signer: str, urls: set[str]) -> Resource:
    approved, document = source.approved, source.document
    stay, at = approved.stay, format_timestamp(source.at)
    device = _url(source, f"Device/{source.device}") if signed_resources.has_ai_author(source.approved) else None
    period = {"start": format_timestamp(stay.start)} if stay.start else {}
    composition: Resource = {
        "resourceType": "Composition",
        "id": source.id_of("composition"),
        "meta": {"security": signed_resources.security_labels(source.approved)},
        "language": xhtml.LANGUAGE,
        **_opening_narrative(document),
        "identifier": resources.identified(source.identifier)[0],
        "status": "amended" if source.replaces else "final",
        "type": {"coding": [_loinc(source.draft.type.code)]},
        **_reference("subject", _url(source, stay.patient)),
        **_reference("encounter", _url(source, stay.encounter)),
        "date": at,
        "author": [{"reference": url} for url in (device, signer) if url],
        "title": document.title,
        "confidentiality": "N",
        "attester": [{"mode": "legal", "time": at, "party": {"reference": signer}}],
    }
    if source.replaces:
        before = resources.identified(source.replaces)[0]
        composition["relatesTo"] = [{"code": "replaces", "targetIdentifier": before}]
    custodian = _url(source, stay.organization or "")
    if custodian in urls:
        composition["custodian"] = {"reference": custodian}
    composition["event"] = [{"period": period | {"end": format_timestamp(stay.end)}}]
    composition["section"] = list(_sections(source, document))
    return composition


def _opening_narrative(document: SignedText) -> Resource:
    """Return the lines above the first heading: the patient and the stay."""
    blocks = [block for section in document.sections if section.code is None for block in section.blocks]
    return {"text": _narrative(blocks)} if blocks else {}


def _sections(source: Source, document: SignedText) -> Iterator[Resource]:
    """Return one section for each kind, in the order of the text; every block of the text is in one."""
    found: dict[Kind, list[Block]] = {}
    for section in document.sections:
        if section.code is None:
            continue  # in the narrative of the Composition
        # A part of a kind's own has a section of its own; a renamed group keeps the one that it has in every kind.
        part = codes.PARTS.get(section.code) or Kind(section.loinc, section.title.capitalize())
        for block in section.blocks:
            found.setdefault(codes.GROUPS.get(block.name, part), []).append(block)
    for kind, blocks in found.items():
        yield {
            "title": kind.title,
            **({"code": {"coding": [_loinc(kind.code)]}} if kind.code else {}),
            "text": _narrative(blocks),
            **_entries(source, blocks),
        }


def _entries(source: Source, blocks: list[Block]) -> Resource:
    """Return references to the resources from which the section's unchanged lines were rendered."""
    lines = [line for block in blocks if block.name not in codes.NARRATIVE_ONLY for line in block.lines]
    urls = dict.fromkeys(url for line in lines if (url := _url(source, line.source)))
    return {"entry": [{"reference": url} for url in urls]} if urls else {}


def _narrative(blocks: list[Block]) -> Resource:
    # "additional": the text is the document; entries only name the sources of some of its lines.
    return {"status": "additional", "div": xhtml.narrative(blocks)}


def _referenced_entries(source: Source, signer: str) -> Iterator[Resource]:
    """Return entries for what the Composition refers to, besides the facts."""
    stay = source.approved.stay
    named: list[tuple[str | None, Resource]] = [
        (_url(source, stay.patient), _patient(source)),
        (_url(source, stay.encounter), _encounter(source)),
        *_drafter(source),
        (signer, _signer(source)),
    ]
    if source.hospital:
        organization = {"resourceType": "Organization", "name": writable(source.hospital)}
        named.append((_url(source, stay.organization or ""), organization))
    known: set[str] = set()
    for url, resource in named:
        if url is not None and url not in known:
            known.add(url)
            id = url.rpartition("/")[2].rpartition(":")[2]
            # The last part of an absolute reference may be no valid id.
            id = id if _ID.fullmatch(id) else source.id_of(url)
            yield {"fullUrl": url, "resource": {"resourceType": resource["resourceType"], "id": id} | resource}


def _drafter(source: Source) -> Iterator[tuple[str | None, Resource]]:
    """Return the AI as a Device, if the narrative is not a physician's."""
    if signed_resources.has_ai_author(source.approved):
        yield _url(source, f"Device/{source.device}"), resources.device(source.approved.draft)


def _patient(source: Source) -> Resource:
    """Return elements for what the signed line of the patient contains, as far as the record has them."""
    line = source.patient
    patient: Resource = {"resourceType": "Patient"}
    if line:
        patient["text"] = _narrative([Block("", (Line(line, item=False),))])
    known = source.context.patient if source.context else None
    if known is None:
        return patient
    if known.mrn and known.mrn in line:
        medical_record = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}
        patient["identifier"] = [{"type": {"coding": [medical_record]}, "value": known.mrn}]
    if known.name and known.name in line:
        patient["name"] = [{"text": writable(known.name)}]
    if known.sex in _SEXES and known.sex in line:
        patient["gender"] = known.sex
    if known.birth_date and known.birth_date.isoformat() in line:
        patient["birthDate"] = known.birth_date.isoformat()
    return patient


def _encounter(source: Source) -> Resource:
    stay = source.approved.stay
    period = {"start": format_timestamp(stay.start)} if stay.start else {}
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": _CLASS_UNKNOWN,  # R4 requires one, and the events do not have it
        **_reference("subject", _url(source, stay.patient)),
        "period": period | {"end": format_timestamp(stay.end)},
    }


def _signer(source: Source) -> Resource:
    by, reference = source.approved.by, source.approved.signer or ""
    if reference.startswith("PractitionerRole/"):
        return {"resourceType": "PractitionerRole", "practitioner": {"display": writable(source.signer)}}
    practitioner: Resource = {"resourceType": "Practitioner"}
    if by.npi:
        practitioner["identifier"] = [{"system": "http://hl7.org/fhir/sid/us-npi", "value": by.npi}]
    elif not (reference and by.name):
        practitioner["identifier"] = [{"system": f"{resources.NAMING}/subject", "value": by.subject}]
    if by.name:
        practitioner["name"] = [{"text": writable(by.name)}]
    return practitioner


def _url(source: Source, reference: str) -> str | None:
    """Return the absolute form of a reference; None for contained and logical references."""
    if match := _RELATIVE.fullmatch(reference):
        return f"{source.base.rstrip('/')}/{match[1]}/{match[2]}"
    return reference if _ABSOLUTE.fullmatch(reference) else None


def _reference(name: str, url: str | None) -> Resource:
    return {name: {"reference": url}} if url else {}


def _loinc(code: str) -> Resource:
    return {"system": "http://loinc.org", "code": code}
