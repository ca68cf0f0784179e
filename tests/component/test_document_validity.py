"""The FHIR document and what is filed around it, held to R4's own definitions by a validator that others wrote."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.approval.filing import correction_resources, signed_resources
from services.approval.filing.renditions import bundle, chart
from services.approval.filing.renditions.make import CONTENT_TYPES, make
from shared.contracts.corrections import Addended, Amended, Retracted
from shared.contracts.envelope import ChainHead, RecordedEvent
from tests.support.examples import CASE, PHYSICIAN, T0, event
from tests.support.renditions import source, text_of
from tests.support.third_party import errors


def filed() -> bytes:
    """The DocumentReference and the Provenance of a signed text, as a Bundle."""
    of = source()
    renditions = make(of, CONTENT_TYPES, "a4")
    document = signed_resources.document(CASE, of.approved, chart.contents(renditions, T0), "dev-1", T0)
    digests = chart.digests_in_document(document, renditions)
    provenance = signed_resources.provenance(of.approved, "doc-1", "dev-1", "h" * 64, T0, T0, chart.entities(digests))
    entries = [{"resource": document}, {"resource": provenance}]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


def test_documents_are_valid_r4(tmp_path: Path) -> None:
    typed = text_of().replace("Penicillin: rash", "<b>None</b> & \x00").replace("SIGNIFICANT FINDINGS\n", "Findings\n")
    others: list[dict[str, Any]] = [
        {"signer": None},
        {"signer": "PractitionerRole/r1"},
        {"signer": None, "by": PHYSICIAN},
        {"stay": source().approved.stay.model_copy(update={"organization": None, "start": None})},
    ]
    documents = [source(), source(typed), source(""), *(source(None, **other) for other in others)]
    assert errors([filed(), *(bundle.write(item) for item in documents)], tmp_path) == []


def after_filing() -> bytes:
    """What a correction, an addendum and a retraction write, as a Bundle."""
    made: list[dict[str, Any]] = []
    contents = chart.contents({"text/plain": b"x"}, T0)
    for number, name in enumerate(("amended", "addended"), start=1):
        body = event(name)
        assert isinstance(body, Amended | Addended)
        decision = RecordedEvent(CASE, "id", "countersign/approval", T0, "", body, ChainHead(number, "h" * 64))
        made.append(correction_resources.document(decision, body, body.number, contents, "dev-1"))
        made.append(correction_resources.provenance(decision, body, "doc-2", "dev-1", T0))
    retracted = event("retracted")
    assert isinstance(retracted, Retracted)
    decision = RecordedEvent(CASE, "id", "countersign/approval", T0, "", retracted, ChainHead(3, "h" * 64))
    made.append(correction_resources.retraction(decision, retracted, T0))
    entries = [{"resource": item} for item in made]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


def test_what_follows_a_document_is_valid_r4(tmp_path: Path) -> None:
    corrected = replace(source(), replaces=("urn:x", "case/final"))
    composition = json.loads(bundle.write(corrected))["entry"][0]["resource"]
    assert (composition["status"], composition["relatesTo"][0]["code"]) == ("amended", "replaces")
    assert errors([after_filing(), bundle.write(corrected)], tmp_path) == []


def test_the_validator_finds_what_is_wrong(tmp_path: Path) -> None:
    broken = json.loads(bundle.write(source()))
    del broken["entry"][0]["resource"]["status"]
    del broken["entry"][2]["resource"]["class"]
    found = {
        expression for issue in errors([json.dumps(broken).encode()], tmp_path) for expression in issue["expression"]
    }
    assert found >= {"Composition.status", "Encounter.class"}
