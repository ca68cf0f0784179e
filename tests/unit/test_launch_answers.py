"""What an EHR answers in a launch: who its user is, and what is left out or wrong."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.approval.sign_in.launch.answers import (
    departments_of,
    parse_context,
    parse_openid_keys,
    parse_server,
    practitioner_id,
    roles_of,
    subject_of,
)
from shared.contracts.errors import TransientError
from shared.runtime.authentication import AuthenticationError
from shared.runtime.launch_settings import LaunchSettings

BASE = "https://ehr.example/fhir"
SETTINGS = LaunchSettings(issuer=f"{BASE}/")
SERVER = {"authorization_endpoint": f"{BASE}/a", "token_endpoint": f"{BASE}/t", "issuer": BASE, "jwks_uri": f"{BASE}/k"}


@pytest.mark.parametrize("stated", ["Practitioner/1", f"{BASE}/Practitioner/1", f"{BASE}/Practitioner/1/"])
def test_the_user_is_a_practitioner_of_the_ehr(stated: str) -> None:
    assert practitioner_id({"fhirUser": stated}, SETTINGS) == "1"


@pytest.mark.parametrize(
    "stated",
    [
        None,
        "",
        "Patient/1",
        "PractitionerRole/1",
        "https://another.example/fhir/Practitioner/1",
        f"{BASE}/Practitioner/1/_history/2",
        "Practitioner/..",
        "Practitioner/1?x",
        "Practitioner/",
        "1",
    ],
)
def test_a_user_who_is_no_practitioner_of_the_ehr_is_refused(stated: str | None) -> None:
    with pytest.raises(AuthenticationError):
        practitioner_id({"fhirUser": stated}, SETTINGS)


def test_roles_departments_and_subject_come_from_claims_where_they_are_set() -> None:
    assert roles_of({}, SETTINGS) == ("physician",)
    assert departments_of({"departments": ["x"]}, SETTINGS) == ()
    assert subject_of({"sub": "1"}, SETTINGS) == "ehr:1", "never equal to a subject of the identity provider"
    set_up = LaunchSettings(
        issuer=BASE,
        role_claim="ehr.roles",
        roles={"MD": "physician", "Chief": "supervisor"},
        department_claim="unit",
        departments=("surgery",),
        subject_claim="preferred_username",
    )
    claims = {"sub": "1", "ehr": {"roles": ["Chief", "RN", "MD"]}, "unit": "cardiology", "preferred_username": "mgee"}
    assert roles_of(claims, set_up) == ("physician", "supervisor")
    assert departments_of(claims, set_up) == ("cardiology", "surgery")
    assert subject_of(claims, set_up) == "mgee"
    with pytest.raises(AuthenticationError):
        roles_of({"ehr": {"roles": ["RN"]}}, set_up)
    with pytest.raises(AuthenticationError):
        subject_of({"sub": "1"}, set_up)


@pytest.mark.parametrize("wrong", [{"patient": 5}, {"encounter": "a/b"}, {"encounter": ""}, {"patient": ["x"]}])
def test_a_context_that_is_no_id_is_refused(wrong: dict[str, Any]) -> None:
    assert parse_context({"patient": "p", "encounter": "e"}) == ("p", "e")
    assert parse_context({}) == (None, None)
    with pytest.raises(AuthenticationError):
        parse_context(wrong)


def test_the_smart_configuration_must_name_usable_endpoints() -> None:
    found = parse_server(SERVER, BASE)
    assert (found.issuer, found.jwks_uri) == (BASE, f"{BASE}/k")
    assert parse_server(SERVER | {"issuer": 5, "jwks_uri": "http://x"}, BASE).jwks_uri == ""
    for wrong in ({"token_endpoint": "http://ehr.example/t"}, {"authorization_endpoint": None}):
        with pytest.raises(TransientError):
            parse_server(SERVER | wrong, BASE)
    assert parse_openid_keys({"issuer": BASE, "jwks_uri": f"{BASE}/k"}, f"{BASE}/") == (BASE, f"{BASE}/k")
    for body in (None, {"issuer": "https://x", "jwks_uri": f"{BASE}/k"}, {"issuer": BASE}):
        with pytest.raises(TransientError):
            parse_openid_keys(body, BASE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"frame_ancestors": ("*",)},
        {"frame_ancestors": ("https://ehr.example/path",)},
        {"frame_ancestors": ("http://ehr.example",)},
        {"frame_ancestors": ("https://ehr.example; script-src *",)},
        {"role_claim": "roles"},
        {"client_secret": "s", "client_key_file": "/keys"},
    ],
)
def test_settings_that_would_open_too_much_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LaunchSettings(issuer=BASE, **wrong)
