"""What the doctor says about the EHR's token and scopes."""

from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
from pydantic import SecretStr

from cli.doctor.ehr import check_ehr
from cli.doctor.target import DoctorTarget
from services.approval.health.rules import assess_write_back
from services.ingest.settings import AppointmentSettings, CensusSettings
from shared.clinical.authorization import StaticToken
from shared.clinical.fhir_client import Capabilities
from shared.clinical.smart.scopes import needed_scopes
from shared.runtime.checks.ehr import assess_scopes
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.mdm_settings import MdmSettings
from tests.unit.test_smart_token import BASE, Ehr

NO_DATE = "Sat, 28 Nov 2026 00:00:00 GMT"


@dataclass
class Target:
    """The part of a DoctorTarget that this check uses."""

    ehr_url: str
    ehr_authorization: Any
    write_back: Any = "fhir"
    mdm: MdmSettings = field(default_factory=MdmSettings)
    census: CensusSettings = field(default_factory=CensusSettings)
    appointments: AppointmentSettings = field(default_factory=AppointmentSettings)


class FhirServer(Ehr):
    """An EHR that also has a CapabilityStatement."""

    def __init__(self, scope: str = needed_scopes()) -> None:
        super().__init__()
        self.scope = scope

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/metadata"):
            body = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
            return httpx.Response(200, json=body, headers={"date": NO_DATE})
        return await super().handle(request)

    def issue(self) -> httpx.Response:
        self.good.add("t")
        return httpx.Response(200, json={"access_token": "t", "expires_in": 300, "scope": self.scope})


async def findings(ehr: Ehr, authorization: Any) -> dict[str, Finding]:
    group = Group("connections")
    await check_ehr(group, ehr.open_http(), cast(DoctorTarget, Target(BASE, authorization)))
    return {item.what: item for item in group.found}


async def test_a_client_with_all_scopes_is_fine() -> None:
    ehr = FhirServer()
    found = await findings(ehr, ehr.token())
    assert [(found[name].level, found[name].says) for name in ("EHR", "EHR scopes")] == [
        ("ok", "FHIR 4.0.1"),
        ("ok", "all that are needed are granted"),
    ]


@pytest.mark.parametrize(
    ("answer", "says", "do"),
    [
        (httpx.Response(400, json={"error": "invalid_client"}), "invalid_client", "COUNTERSIGN_EHR_CLIENT_ID"),
        (httpx.Response(400, json={"error": "invalid_scope"}), "invalid_scope", "COUNTERSIGN_EHR_SCOPE"),
        (httpx.Response(502), "HTTP 502", "can be reached"),
        (httpx.ConnectError("no"), "ConnectError", "can be reached"),
    ],
)
async def test_a_token_that_cannot_be_had_is_a_fault_with_what_to_do(answer: Any, says: str, do: str) -> None:
    ehr = FhirServer()
    ehr.answers = [answer]
    found = await findings(ehr, ehr.token())
    assert found["EHR"].level == "fault"
    assert says in found["EHR"].says
    assert do in found["EHR"].do
    assert any("clock" in name.lower() or "clock" in item.says.lower() for name, item in found.items())


async def test_a_token_that_the_ehr_rejects_is_a_fault() -> None:
    ehr = FhirServer()
    found = await findings(ehr, StaticToken(SecretStr("rejected")))
    assert (found["EHR"].level, "refuses searches" in found["EHR"].says) == ("fault", True)


@pytest.mark.parametrize(
    ("granted", "server", "level", "says"),
    [
        (needed_scopes(), Capabilities({}), "ok", "all"),
        ("system/*.rs", Capabilities({}), "warning", "system/Device.c, system/DocumentReference.cu"),
        (needed_scopes().replace("system/Goal.rs", ""), Capabilities({}), "warning", "not granted: system/Goal.rs"),
        (needed_scopes().replace("system/Goal.rs", ""), Capabilities({"Patient": frozenset()}), "ok", "all"),
        (needed_scopes().replace("system/Patient.rs", ""), Capabilities({}), "fault", "system/Patient.rs"),
        ("", Capabilities({}), "fault", "system/Encounter.rs"),
    ],
)
def test_granted_scopes_are_compared_with_those_needed(
    granted: str, server: Capabilities, level: str, says: str
) -> None:
    group = Group("connections")
    assess_scopes(group, frozenset(granted.split()), server)
    assert (group.found[0].level, says in group.found[0].says) == (level, True)


STATED = {"DocumentReference": frozenset({"identifier", "patient"})}
WITHOUT = {"DocumentReference": frozenset({"patient"})}
CREATES = frozenset({"DocumentReference"})


@pytest.mark.parametrize(
    ("setting", "server", "host", "level", "words"),
    [
        ("auto", Capabilities(STATED, creates=CREATES), "", "ok", "fhir: the EHR creates"),
        ("auto", Capabilities(WITHOUT, creates=CREATES), "", "ok", "fhir-basic: the EHR creates"),
        ("auto", Capabilities(WITHOUT), "engine", "ok", "mdm: the EHR creates no DocumentReference"),
        ("auto", Capabilities(WITHOUT), "", "warning", "none: the EHR creates no DocumentReference"),
        ("auto", Capabilities({}), "", "fault", "no CapabilityStatement"),
        ("fhir", Capabilities({}), "", "ok", "fhir: it is set"),
        ("fhir", Capabilities(WITHOUT, creates=CREATES), "", "warning", "by its identifier"),
        ("mdm", Capabilities({}), "", "fault", "there is no receiver"),
    ],
)
def test_it_says_how_documents_reach_the_chart_and_why(
    setting: Any, server: Capabilities, host: str, level: str, words: str
) -> None:
    group = Group("connections")
    assess_write_back(group, setting, server, MdmSettings(host=host))
    (found,) = group.found
    assert (found.what, found.level) == ("write-back", level)
    assert words in found.says
