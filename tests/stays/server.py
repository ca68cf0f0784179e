"""A FHIR R4 server over one stay, in this process: read, search and a CapabilityStatement, with real servers' habits.

Every type is served, every parameter below is known for every type, others are refused. References match in any
spelling (relative, absolute, versioned, `urn:uuid:`); with `ids="typed"` only where the search names the type too.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

from sandbox_ehr.search import matches, values
from tests.stays.elements import BASE
from tests.stays.model import Resource, Stay

TYPES = re.findall(
    r"\w+",
    """
    Patient Encounter Condition Procedure Observation DiagnosticReport AllergyIntolerance MedicationRequest
    MedicationStatement MedicationAdministration MedicationDispense Medication CarePlan CareTeam Goal ServiceRequest
    Appointment DocumentReference Composition Task Provenance Device DeviceUseStatement DeviceRequest Practitioner
    PractitionerRole Organization Location FamilyMemberHistory Immunization NutritionOrder Specimen RelatedPerson
    Flag Consent ClinicalImpression ImagingStudy Communication RiskAssessment QuestionnaireResponse List Person
    EpisodeOfCare Media BodyStructure Substance DetectedIssue AdverseEvent Binary
    """,
)
REFERENCES: dict[str, tuple[str, ...]] = {
    "patient": ("subject", "patient", "for", "participant.actor"),
    "subject": ("subject", "patient", "for"),
    "encounter": ("encounter", "context", "context.encounter"),
    "context": ("context",),
    "medication": ("medicationReference",),
    "part-of": ("partOf",),
    "practitioner": ("practitioner",),
    "link": ("link.other",),
    "based-on": ("basedOn",),
    "result": ("result",),
    "actor": ("participant.actor",),
    "focus": ("focus",),
}
TOKENS: dict[str, tuple[str, ...]] = {
    "_id": ("id",),
    "identifier": ("identifier",),
    "status": ("status",),
    "category": ("category",),
    "code": ("code",),
    "class": ("class",),
    "type": ("type",),
    "intent": ("intent",),
    "clinical-status": ("clinicalStatus",),
    "verification-status": ("verificationStatus",),
}
DATES: dict[str, tuple[str, ...]] = {
    "date": ("effectiveDateTime", "effectivePeriod", "performedDateTime", "performedPeriod", "period", "date", "start"),
    "authoredon": ("authoredOn",),
    "issued": ("issued",),
    "authored": ("authoredOn", "authored"),
    "recorded-date": ("recordedDate",),
    "onset-date": ("onsetDateTime",),
    "effective": ("effectiveDateTime", "effectivePeriod"),
    "effective-time": ("effectiveDateTime", "effectivePeriod"),
    "whenhandedover": ("whenHandedOver",),
    "_lastUpdated": ("meta.lastUpdated",),
}
CONTROL = ("_count", "_sort", "_include", "_total", "_cursor", "_format", "_summary", "_elements")


def serve(stay: Stay) -> httpx.AsyncClient:
    """A client whose every request the stay's server answers."""
    return httpx.AsyncClient(transport=httpx.MockTransport(_Server(stay).answer), base_url=BASE)


class _Server:
    def __init__(self, stay: Stay) -> None:
        self._serve = stay.serve
        meta: Resource = {"meta": {"versionId": "1", "lastUpdated": "2026-10-01T00:00:00Z"}}
        self._resources: list[Resource] = [meta | resource for resource in stay.resources]

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.partition("/fhir/")[2].split("/")
        pairs = parse_qsl(request.url.query.decode(), keep_blank_values=True)
        if request.method == "POST" and path[-1] == "_search":
            return self._search(path[0], pairs + parse_qsl(request.content.decode()))
        if request.method != "GET":
            return _refusal(405, "not-supported")
        if path == ["metadata"]:
            return _answer(_capability_statement())
        if path[0] not in TYPES:
            return _refusal(404, "not-supported")
        if len(path) == 1:
            return self._search(path[0], pairs)
        return self._read(path[0], path[1])

    def _read(self, type: str, id: str) -> httpx.Response:
        found = next((r for r in self._resources if (r["resourceType"], r["id"]) == (type, id)), None)
        return _answer(found) if found else _refusal(404, "not-found")

    def _search(self, type: str, pairs: list[tuple[str, str]]) -> httpx.Response:
        if any(_bare(name) not in (*REFERENCES, *TOKENS, *DATES, *CONTROL) for name, _ in pairs):
            return _refusal(400, "not-supported")
        wanted = [(name, value) for name, value in pairs if name not in CONTROL]
        found = [
            r for r in self._resources if r["resourceType"] == type and all(self._fits(r, *pair) for pair in wanted)
        ]
        control = dict(pairs)
        start, size = int(control.get("_cursor") or 0), min(int(control.get("_count") or 1000), self._serve.page)
        page = found[start : start + size]
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "link": []}
        if start + size < len(found):
            rest = [pair for pair in pairs if pair[0] != "_cursor"] + [("_cursor", str(start + size))]
            base = BASE.replace("/fhir", "/mirror/fhir") if self._serve.mirror else BASE
            bundle["link"].append({"relation": "next", "url": f"{base}/{type}?{urlencode(rest)}"})
        bundle["entry"] = [_entry(r, "match") for r in page]
        if "MedicationRequest:medication" in control.get("_include", ""):
            bundle["entry"] += [_entry(r, "include") for r in self._medications(page)]
        return _answer(bundle)

    def _medications(self, page: Iterable[Resource]) -> list[Resource]:
        named = {_type_and_id(value)[1] for r in page for value in values(r, "medicationReference")}
        return [r for r in self._resources if r["resourceType"] == "Medication" and r["id"] in named]

    def _fits(self, resource: Resource, name: str, value: str) -> bool:
        name, _, modifier = name.partition(":")
        if modifier == "identifier":
            return name in REFERENCES and matches(resource, ("identifier", REFERENCES[name]), value)
        if name in REFERENCES:
            implied = {"patient": "Patient", "subject": "Patient", "encounter": "Encounter"}.get(name, "")
            return any(self._refers(resource, name, one, modifier or implied) for one in value.split(","))
        kind = "token" if name in TOKENS else "date"
        found = matches(resource, (kind, (TOKENS | DATES)[name]), value)  # type: ignore[arg-type]
        return found != (modifier == "not")

    def _refers(self, resource: Resource, name: str, wanted: str, type: str) -> bool:
        wanted_type, wanted_id = _type_and_id({"reference": wanted})
        if not wanted_type and name == "encounter" and self._serve.ids == "typed":
            return False
        found = (_type_and_id(value) for path in REFERENCES[name] for value in values(resource, path))
        return any(id == wanted_id and one in ("", wanted_type or type, type) for one, id in found)


def _type_and_id(value: Any) -> tuple[str, str]:
    """Type and id that a literal reference names; both empty for contained and logical ones."""
    reference = value.get("reference", "") if isinstance(value, dict) else ""
    if not reference or reference.startswith("#"):
        return "", ""
    parts = reference.removeprefix("urn:uuid:").split("/_history/")[0].split("/")
    return (parts[-2] if len(parts) > 1 else ""), parts[-1]


def _bare(name: str) -> str:
    return name.partition(":")[0]


def _entry(resource: Resource, mode: str) -> Resource:
    url = f"{BASE}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}


def _answer(resource: Resource, status: int = 200) -> httpx.Response:
    text = re.sub(r'"\\u0000([-+.\deE]+)"', r"\1", json.dumps(resource))
    return httpx.Response(status, text=text, headers={"Content-Type": "application/fhir+json"})


def _refusal(status: int, code: str) -> httpx.Response:
    return _answer({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}, status)


def _parameters() -> Iterator[Resource]:
    for kind, names in (("reference", REFERENCES), ("token", TOKENS), ("date", DATES)):
        yield from ({"name": name, "type": kind} for name in names)


def _capability_statement() -> Resource:
    search = list(_parameters())
    types = [{"type": type, "searchParam": search, "searchInclude": ["MedicationRequest:medication"]} for type in TYPES]
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "rest": [{"mode": "server", "resource": types}],
    }
