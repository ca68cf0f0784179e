"""What production does not start with. Pure."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.approval.settings import ApprovalSettings
from shared.messaging.server_status import ServerStatus, durability
from shared.runtime.authentication import ApiToken
from shared.runtime.deployment_facts import deployment_facts
from shared.runtime.preflight import DeploymentFacts, SecretFile, preflight_errors
from shared.runtime.prometheus_settings import PrometheusSettings
from shared.runtime.settings import ProductionOverrides

SAFE = ServerStatus(True, True, 1, (), "2.15.1", datetime(2026, 11, 24, tzinfo=UTC), 0, 0)
CLUSTER = replace(SAFE, servers=3)
ALONE = DeploymentFacts("127.0.0.1", "nats://127.0.0.1:4222", ProductionOverrides(), SAFE)
HOSPITAL = replace(
    ALONE,
    host="::",
    nats_url="tls://nats.example:4222",
    durability=CLUSTER,
    issuer="https://sso.example",
    public_url="https://sign.example",
    ehr_url="https://ehr.example/fhir",
)


def grant(**more: object) -> ApiToken:
    return ApiToken.model_validate({"sha256": "x", "subject": "dr-who", "role": "physician"} | more)


def allowed(**what: bool) -> ProductionOverrides:
    return ProductionOverrides(**what)


def test_a_careful_one_starts() -> None:
    assert preflight_errors(ALONE) == []
    assert preflight_errors(HOSPITAL) == []


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (replace(HOSPITAL, durability=None), "COUNTERSIGN_NATS_MONITOR_URL"),
        (replace(HOSPITAL, durability=replace(CLUSTER, sync_always=False)), "sync_interval: always"),
        (replace(HOSPITAL, durability=replace(CLUSTER, single=("DISCHARGE", "EHR"))), "DISCHARGE and 1 other streams"),
        (replace(HOSPITAL, nats_url="nats://nats.example:4222"), "tls://"),
        (replace(HOSPITAL, nats_url="tls://a.example:4222,nats://b.example:4222"), "tls://"),
        (replace(HOSPITAL, ehr_url="http://ehr.example/fhir"), "COUNTERSIGN_EHR_URL"),
        (replace(HOSPITAL, ehr_token_url="http://ehr.example/token"), "COUNTERSIGN_EHR_TOKEN_URL"),
        (replace(HOSPITAL, launch_issuer="http://ehr.example/fhir"), "COUNTERSIGN_LAUNCH_ISSUER"),
        (replace(HOSPITAL, plain_hl7_host="10.1.2.3"), "COUNTERSIGN_HL7_CERTIFICATE_FILE"),
        (replace(HOSPITAL, plain_mdm_host="10.1.2.3"), "COUNTERSIGN_MDM_CA_FILE"),
        (replace(HOSPITAL, plain_hl7_host="0.0.0.0"), "COUNTERSIGN_HL7_CERTIFICATE_FILE"),  # noqa: S104 - refused
        (replace(HOSPITAL, prometheus_url="http://prometheus.example"), "COUNTERSIGN_PROMETHEUS_URL"),
        (replace(HOSPITAL, issuer=""), "COUNTERSIGN_OIDC_ISSUER"),
        (replace(HOSPITAL, public_url="http://sign.example"), "COUNTERSIGN_PUBLIC_URL"),
        (replace(HOSPITAL, public_url=""), "COUNTERSIGN_PUBLIC_URL"),
        (replace(HOSPITAL, grants=(grant(),)), "dr-who"),
        (replace(HOSPITAL, grants=(grant(role="operator", also=("supervisor",)),)), "dr-who"),
        (replace(HOSPITAL, files=(SecretFile("COUNTERSIGN_TOKENS_FILE", "/t.json", 0o100644),)), "chmod o= it"),
    ],
)
def test_one_fault_is_one_sentence(facts: DeploymentFacts, word: str) -> None:
    (sentence,) = preflight_errors(facts)
    assert word in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "facts",
    [
        replace(HOSPITAL, durability=None, allowed=allowed(unsafe_durability=True)),
        replace(HOSPITAL, nats_url="nats://nats:4222", allowed=allowed(plain_nats=True)),
        replace(HOSPITAL, ehr_url="http://ehr/fhir", allowed=allowed(plain_ehr=True)),
        replace(HOSPITAL, ehr_token_url="https://login.ehr.example/token"),
        replace(HOSPITAL, plain_hl7_host="10.1.2.3", allowed=allowed(plain_hl7=True)),
        replace(HOSPITAL, plain_hl7_host="127.0.0.1"),
        replace(HOSPITAL, plain_mdm_host="10.1.2.3", allowed=allowed(plain_hl7=True)),
        replace(HOSPITAL, plain_mdm_host="127.0.0.1"),
        replace(HOSPITAL, issuer="", allowed=allowed(static_tokens=True)),
        replace(HOSPITAL, nats_url="nats://localhost:4222", ehr_url="http://[::1]/fhir"),
        replace(HOSPITAL, grants=(grant(practitioner="Practitioner/1"), grant(role="ingest"))),
        replace(HOSPITAL, files=(SecretFile("COUNTERSIGN_TOKENS_FILE", "/t.json", 0o100640),)),
        replace(ALONE, public_url="", ehr_url="http://127.0.0.1/fhir"),
    ],
)
def test_what_somebody_answers_for_or_never_leaves_the_machine_is_let_be(facts: DeploymentFacts) -> None:
    assert preflight_errors(facts) == []


def test_what_no_override_allows() -> None:
    everything = allowed(unsafe_durability=True, plain_nats=True, plain_ehr=True, static_tokens=True)
    assert len(preflight_errors(replace(HOSPITAL, grants=(grant(),), allowed=everything))) == 1


def test_the_servers_own_answers_are_read() -> None:
    server = {"version": "2.15.1", "auth_required": True, "now": "2026-11-24T01:43:02.370269989Z"}
    streams = [
        {"name": "DISCHARGE", "config": {"num_replicas": 1}},
        {"name": "EHR", "config": {"num_replicas": 3}},
    ]
    store = {
        "config": {"sync_always": True, "max_storage": 9},
        "storage": 4,
        "account_details": [{"stream_detail": streams}],
    }
    alone = durability(server, store)
    assert (alone.sync_always, alone.auth_required, alone.servers, alone.single) == (True, True, 1, ())
    assert (alone.stored, alone.may_store) == (4, 9)
    assert durability(server, store | {"meta_cluster": {"cluster_size": 3}}).single == ("DISCHARGE",)
    assert not durability(server, {}).sync_always


async def test_prometheus_counts_where_it_is_sent_a_token(tmp_path: Path) -> None:
    (token := tmp_path / "token").write_text("secret")
    token.chmod(0o644)

    async def facts(file: Path | None) -> DeploymentFacts:
        return await deployment_facts(
            ApprovalSettings(
                nats_seed=SecretStr("x"),
                tokens_file=tmp_path / "none",
                allowed=ProductionOverrides(unsafe_durability=True),
                prometheus=PrometheusSettings(url="http://prometheus.example", token_file=file),
            )
        )

    assert (await facts(None)).prometheus_url == ""
    named = await facts(token)
    assert named.prometheus_url == "http://prometheus.example"
    assert named.files == (SecretFile("COUNTERSIGN_PROMETHEUS_TOKEN_FILE", str(token), 0o100644),)
