"""The FHIR document, held to the rules of R4 that concern it.

Rules: https://hl7.org/fhir/R4/bundle.html (bdl-3, bdl-4, bdl-7, bdl-9 to bdl-12), composition.html (cmp-1, cmp-2),
documents.html, narrative.html (txt-1, txt-2), encounter.html, organization.html (org-1).
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from services.approval.filing.renditions import bundle, codes
from services.approval.filing.renditions.source import Source
from tests.support.examples import PHYSICIAN
from tests.support.renditions import BASE, IDENTITY, PARTS, source, text_of, words

XHTML = "{http://www.w3.org/1999/xhtml}"
# Of what narratives may have (HTML 4.0 chapters 7 to 11 and 15), the elements that we write.
ELEMENTS = {"div", "h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
REQUIRED = {
    "Composition": {"status", "type", "date", "author", "title"},
    "Encounter": {"status", "class"},
    "Organization": {"name"},
}
# https://hl7.org/fhir/R4/valueset-doc-section-codes.html, as far as it is used here
SECTION_CODES = {
    *("10157-6", "10183-2", "11369-6", "11535-2", "18776-5", "29299-5", "29549-3", "30954-2", "42344-2", "42346-7"),
    *("42348-3", "46264-8", "47420-5", "47519-4", "48765-2", "8648-8", "8653-8", "8716-3"),
}


def written(of: Source | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundle.write(of or source()))
    return found


def composition_of(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["entry"][0]["resource"]
    return found


def section_of(document: dict[str, Any], code: str) -> dict[str, Any]:
    coded = {item["code"]["coding"][0]["code"]: item for item in composition_of(document)["section"] if "code" in item}
    found: dict[str, Any] = coded[code]
    return found


def entries(document: dict[str, Any], code: str) -> list[str]:
    return [item["reference"].removeprefix(BASE) for item in section_of(document, code).get("entry", [])]


def values(value: Any, name: str) -> Iterator[Any]:
    """Every value of elements called `name`, however deep."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == name:
                yield item
            yield from values(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from values(item, name)


def is_valid(document: dict[str, Any]) -> None:
    """Asserts what R4 asks of a document."""
    assert (document["resourceType"], document["type"]) == ("Bundle", "document")
    assert {"system", "value"} <= document["identifier"].keys()
    assert INSTANT.fullmatch(document["timestamp"])
    assert composition_of(document)["resourceType"] == "Composition"
    urls = [entry["fullUrl"] for entry in document["entry"]]
    assert len(urls) == len(set(urls))
    for entry in document["entry"]:
        assert entry.keys() == {"fullUrl", "resource"}
        resource = entry["resource"]
        assert ID.fullmatch(resource["id"])
        assert entry["fullUrl"].endswith(resource["id"])
        assert REQUIRED.get(resource["resourceType"], set()) <= resource.keys()
    for reference in values(document, "reference"):
        assert reference in urls or reference.startswith(BASE)
    for div in values(document, "div"):
        is_narrative(div)
    for section in composition_of(document)["section"]:
        assert section["text"]["status"] in ("generated", "additional")
        assert section["title"]
        assert section.get("entry", True)
    assert not any(value in ([], {}, "", None) for value in leaves(document))


def leaves(value: Any) -> Iterator[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield value
    for item in children:
        yield from leaves(item)


def is_narrative(div: str) -> None:
    root = etree.fromstring(div)
    assert root.tag == f"{XHTML}div"
    for element in root.iter():
        assert element.tag.removeprefix(XHTML) in ELEMENTS
        assert set(element.attrib) <= {"lang", "{http://www.w3.org/XML/1998/namespace}lang", "scope"}
    assert "".join(root.itertext()).strip()


def text_in(document: dict[str, Any]) -> str:
    return " ".join(" ".join(etree.fromstring(div).itertext()) for div in values(composition_of(document), "div"))


def test_it_is_a_valid_document() -> None:
    is_valid(written())


def test_the_same_source_gives_the_same_bytes() -> None:
    assert bundle.write(source()) == bundle.write(source())


def test_who_wrote_and_who_signed() -> None:
    found = composition_of(written())
    assert found["type"]["coding"][0] == {"system": "http://loinc.org", "code": "18842-5"}
    assert [item["reference"] for item in found["author"]] == [f"{BASE}Device/dev-1", f"{BASE}Practitioner/dr-1"]
    (attester,) = found["attester"]
    assert attester == {
        "mode": "legal",
        "time": "2026-11-23T09:00:00.000Z",
        "party": {"reference": f"{BASE}Practitioner/dr-1"},
    }
    assert found["custodian"] == {"reference": f"{BASE}Organization/o1"}
    assert found["status"] == "final"
    assert IDENTITY in text_in(written())


def test_whom_it_is_about_stands_in_it_as_it_was_signed() -> None:
    found = {entry["resource"]["resourceType"]: entry["resource"] for entry in written()["entry"]}
    assert found.keys() == {"Composition", "Patient", "Encounter", "Device", "Practitioner", "Organization"}
    patient = found["Patient"]
    assert (patient["birthDate"], patient["gender"], patient["name"][0]["text"]) == ("1950-01-02", "female", "Jane Roe")
    assert patient["identifier"][0]["value"] == "17"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("48765-2", ["AllergyIntolerance/a1"]),
        ("11535-2", ["Condition/c1"]),  # not the diagnosis that was ruled out
        ("10183-2", ["MedicationRequest/m1"]),  # not the one that was stopped
        ("30954-2", ["Observation/o1"]),
        ("18776-5", ["DiagnosticReport/r1", "Appointment/f1"]),
        ("47519-4", []),
        ("8648-8", []),
        ("29299-5", ["Encounter/e1"]),
    ],
)
def test_sections_have_their_codes_and_the_resources_of_their_facts(code: str, found: list[str]) -> None:
    assert entries(written(), code) == found


def test_every_section_code_is_one_of_hl7s() -> None:
    kinds = {*codes.PARTS.values(), *codes.GROUPS.values()}
    assert {kind.code for kind in kinds if kind.code} <= SECTION_CODES


def test_a_fact_that_was_edited_away_does_not_come_back() -> None:
    text = text_of().replace("Penicillin: rash", "None known").replace("  - Creatinine 1.9 mg/dL (high)\n", "")
    found = json.dumps(written(source(text)))
    assert not re.search("Penicillin|AllergyIntolerance|Creatinine|Observation/", found)


def test_all_words_below_the_headings_of_the_parts_are_in_it() -> None:
    text = text_of().replace("She was treated for pneumonia.", 'She "said" <b>no</b> & left.\n\n  Note:\n  Call.')
    text = text.replace("SIGNIFICANT FINDINGS\n", "SIGNIFICANT FINDINGS\nSeen by cardiology.\n")
    titles = words(" ".join(["DISCHARGE SUMMARY", *(part.title for part in PARTS)]))
    assert words(text) - titles - words(text_in(written(source(text)))) == {}


@pytest.mark.parametrize(
    "other",
    [
        {"signer": None},
        {"signer": "PractitionerRole/r1"},
        {"signer": "#contained", "by": PHYSICIAN},
        {"stay": source().approved.stay.model_copy(update={"organization": None, "start": None})},
        {"stay": source().approved.stay.model_copy(update={"organization": "#o"})},
    ],
)
def test_it_is_valid_whoever_signed_and_whatever_is_not_known(other: dict[str, Any]) -> None:
    found = written(source(None, **other))
    is_valid(found)
    urls = {entry["fullUrl"] for entry in found["entry"]}
    assert composition_of(found)["attester"][0]["party"]["reference"] in urls


def test_without_the_context_there_is_no_name_beside_the_signed_line() -> None:
    of = source()
    bare = Source(of.decision, of.approved, of.identifier, of.text, of.draft, None, of.device, of.base)
    found = written(bare)
    is_valid(found)
    (patient,) = [item["resource"] for item in found["entry"] if item["resource"]["resourceType"] == "Patient"]
    assert patient.keys() == {"resourceType", "id", "text"}


@given(st.text(max_size=200), st.integers(0, 40))
@settings(deadline=None, max_examples=150)
def test_whatever_is_typed_it_is_valid(typed: str, at: int) -> None:
    lines = text_of().split("\n")
    lines[at % len(lines)] = typed
    is_valid(written(source("\n".join(lines))))
