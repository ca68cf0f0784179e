"""What compose.yaml promises: it is valid for every profile, and no container may more than it needs."""

import importlib
import importlib.util
import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from cli.stack.nats_files import ACCOUNTS, generated_name
from services.ingest.settings import FhirIntakeSettings
from shared.runtime.mdm_settings import MdmSettings
from shared.runtime.settings import Hl7Settings
from tests.support.settings import KNOWN

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / ".tools/usr/libexec/docker/cli-plugins/docker-compose"
PROMTOOL = ROOT / ".tools/usr/bin/promtool"
HADOLINT = ROOT / ".venv/bin/hadolint"
STAND_INS = {"keycloak"}  # rewrites itself when it starts: only for a look at sign-on
WITHOUT_SHELL = {"otel-collector", "tempo", "hapi"}  # nothing in the image to ask with
ENDS = {"provision", "demo"}
BY_VERSION = {"qdrant", "hapi", "triton-gpu", "proxy"}  # nobody could be found who says their digest: docs/adr/0039
KINDS = ("KEY", "JWKS")  # of the files of our client at the EHR: its private keys, and their public halves
READERS = "10001"  # the group that `countersign secrets init` gives the files to
# Docker gives a new volume the owner of the image's directory at that place, and root's where it has none. These images
# have one for their user; ours must make it (the Dockerfile).
OF_THE_IMAGE = {"/qdrant/storage", "/qdrant/snapshots", "/prometheus", "/var/tempo", "/var/lib/grafana"}

pytestmark = pytest.mark.skipif(not COMPOSE.exists(), reason="Docker Compose is not here (tools/fetch.sh)")


@cache
def rendered() -> dict[str, Any]:
    """The whole file with every profile, as Compose understands it."""
    return render("compose.yaml")


def render(*files: str, **variables: str) -> dict[str, Any]:
    arguments = [part for file in files for part in ("--file", file)]
    done = subprocess.run(
        [str(COMPOSE), *arguments, "--profile", "*", "config", "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | variables,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


SERVICES = sorted(rendered()["services"]) if COMPOSE.exists() else []


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = rendered()["services"][name]
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_may_more_than_it_needs(name: str) -> None:
    found = service(name)
    assert found["user"].split(":")[0] not in ("0", "root")
    assert found.get("read_only") is True or name in STAND_INS
    assert found["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in found["security_opt"]
    assert int(found["mem_limit"]) > 0
    assert not found.get("privileged")
    assert found.get("network_mode") is None


@pytest.mark.parametrize("name", SERVICES)
def test_only_loopback_is_opened_and_every_image_is_pinned(name: str) -> None:
    for port in service(name).get("ports", []):
        assert port["host_ip"] == "127.0.0.1"
    image, _, by_digest = service(name)["image"].partition("@")
    _, _, tag = image.rpartition(":")
    assert any(character.isdigit() for character in tag), image
    if not image.startswith("countersign"):  # ours are built here
        assert bool(re.fullmatch(r"sha256:[0-9a-f]{64}", by_digest)) != (name in BY_VERSION), image


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_asked_how_it_is(name: str) -> None:
    check = service(name).get("healthcheck", {})
    # Compose says how, for our images too: those in OCI's format, as podman builds them, have no health check.
    assert (check.get("test") and not check.get("disable")) or name in WITHOUT_SHELL | ENDS


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_an_environment(name: str) -> None:
    for variable, value in (service(name).get("environment") or {}).items():
        if any(word in variable for word in ("SEED", "TOKEN", "PASSWORD", "KEY", "SECRET")):
            assert not value or value.startswith("/run/secrets/"), variable


@pytest.mark.parametrize("name", ["ingest", "drafter", "approval", "embedder", "evaluator"])
def test_our_services_are_told_what_they_know(name: str) -> None:
    found = service(name)
    own = {variable for variable in found["environment"] if variable.startswith("COUNTERSIGN_")}
    assert own - KNOWN == set()
    module = found["command"][-1]
    assert callable(importlib.import_module(module).main)
    assert {item["target"].rpartition("/")[2] for item in found["secrets"]} >= {"seed", "tokens"}
    assert found["depends_on"]["provision"]["condition"] == "service_completed_successfully"


@pytest.mark.parametrize("name", SERVICES)
def test_nats_is_spoken_to_by_tls(name: str) -> None:
    found = service(name)
    told = found.get("environment") or {}
    mounted = {f"/run/secrets/{item['target'].rpartition('/')[2]}" for item in found.get("secrets", [])}
    assert "COUNTERSIGN_ALLOW_PLAIN_NATS" not in told
    if "COUNTERSIGN_NATS_URL" in told:
        assert told["COUNTERSIGN_NATS_URL"].startswith("tls://")
        assert told["COUNTERSIGN_NATS_CA_FILE"] in mounted
    if re.fullmatch(r"nats(-\d)?", name):
        configuration = (f"{name}.conf", generated_name(f"{name}.conf"), ACCOUNTS)
        assert {f"/run/secrets/{file}" for file in ("nats.crt", "nats.key", "ca.crt", *configuration)} == mounted
    else:
        assert not any("nats.key" in file for file in mounted)


def test_checkpoints_are_made_with_a_key_and_in_a_volume_of_their_own() -> None:
    found = service("approval")
    told = found["environment"]
    assert told["COUNTERSIGN_CHECKPOINT_KEY_FILE"] in {
        f"/run/secrets/{item['target'].rpartition('/')[2]}" for item in found["secrets"]
    }
    assert told["COUNTERSIGN_CHECKPOINT_EVERY"] == "PT10M"
    (volume,) = [item for item in found["volumes"] if item["target"] == told["COUNTERSIGN_CHECKPOINT_DIR"]]
    assert volume["type"] == "volume"
    for name in set(SERVICES) - {"approval"}:
        assert not any(item.get("source") == volume["source"] for item in service(name).get("volumes", [])), name
        assert not any("checkpoint" in item["source"] for item in service(name).get("secrets", [])), name


def test_erasures_are_listed_in_a_volume_that_no_other_service_has() -> None:
    found = service("approval")
    (volume,) = [i for i in found["volumes"] if i["target"] == found["environment"]["COUNTERSIGN_ERASURE_DIR"]]
    assert volume["type"] == "volume"
    for name in set(SERVICES) - {"approval"}:
        assert not any(item.get("source") == volume["source"] for item in service(name).get("volumes", [])), name


def test_the_master_key_is_given_to_the_two_services_that_open_texts() -> None:
    found = render("compose.yaml", "deploy/docker/compose.master-key.yaml")["services"]
    for name in ("approval", "drafter"):
        secret = found[name]["environment"]["COUNTERSIGN_MASTER_KEY_FILE"].removeprefix("/run/secrets/")
        (mounted,) = [item for item in found[name]["secrets"] if item["source"] == "master.key"]
        assert secret == mounted.get("target", mounted["source"]).rpartition("/")[2]
        assert len(found[name]["secrets"]) == len(service(name)["secrets"]) + 1
    for name in set(SERVICES) - {"approval", "drafter"}:
        assert not any(item["source"] == "master.key" for item in found[name].get("secrets", [])), name


def test_the_keys_of_our_client_at_the_ehr_are_given_to_the_two_services_that_use_it() -> None:
    for name in SERVICES:
        given = {item["source"] for item in service(name).get("secrets", []) if item["source"].startswith("ehr-client")}
        told = service(name).get("environment") or {}
        files = {told.get(f"COUNTERSIGN_EHR_CLIENT_{kind}_FILE", "").removeprefix("/run/secrets/") for kind in KINDS}
        expected = {"approval": {"ehr-client-keys"}, "drafter": {"ehr-client-keys"}, "ingest": {"ehr-client-jwks"}}
        assert given == files - {""} == expected.get(name, set()), name


def test_hl7v2_is_received_by_ingest_alone_with_tls_and_on_loopback() -> None:
    found = render("compose.yaml", "deploy/docker/compose.hl7.yaml")["services"]
    environment = found["ingest"]["environment"]
    settings = Hl7Settings(
        **{name.removeprefix("COUNTERSIGN_HL7_").lower(): environment[name] for name in environment if "_HL7_" in name}
    )
    mounted = {item["source"] for item in found["ingest"]["secrets"]}
    files = (settings.senders, settings.certificate_file, settings.key_file, settings.client_ca_file)
    assert {file.name for file in files if file is not None} <= mounted
    assert None not in files
    published = [item for item in found["ingest"]["ports"] if item["target"] == settings.port]
    assert [item["host_ip"] for item in published] == ["127.0.0.1"]
    for name in set(SERVICES) - {"ingest"}:
        assert "COUNTERSIGN_HL7_PORT" not in found[name].get("environment", {}), name


def test_documents_leave_approval_alone_by_mdm_with_tls() -> None:
    found = render("compose.yaml", "deploy/docker/compose.mdm.yaml")["services"]
    environment = found["approval"]["environment"]
    settings = MdmSettings(
        **{name.removeprefix("COUNTERSIGN_MDM_").lower(): environment[name] for name in environment if "_MDM_" in name}
    )
    mounted = {item["source"] for item in found["approval"]["secrets"]}
    files = (settings.ca_file, settings.certificate_file, settings.key_file)
    assert {file.name for file in files if file is not None} <= mounted
    assert None not in files
    for name in set(SERVICES) - {"approval"}:
        assert "COUNTERSIGN_MDM_HOST" not in found[name].get("environment", {}), name


def test_ingest_reads_the_ehr_with_a_client_of_its_own() -> None:
    assert service("ingest")["environment"]["COUNTERSIGN_FHIR_POLL_SECONDS"] == "0"
    variables = {"COUNTERSIGN_INGEST_CLIENT_ID": "reader", "COUNTERSIGN_FHIR_SINCE": "2026-12-01T00:00:00Z"}
    ingest = render("compose.yaml", "deploy/docker/compose.fhir.yaml", **variables)["services"]["ingest"]
    environment, mounted = ingest["environment"], {item["source"] for item in ingest["secrets"]}
    settings = FhirIntakeSettings(
        **{
            name.removeprefix("COUNTERSIGN_FHIR_").lower(): environment[name]
            for name in environment
            if "_FHIR_" in name
        }
    )
    assert settings.poll_seconds > 0
    files = [settings.subscriptions, Path(environment["COUNTERSIGN_EHR_CLIENT_KEY_FILE"])]
    assert {file.name for file in files if file is not None} <= mounted
    assert "ehr-client-keys" not in mounted
    assert environment["COUNTERSIGN_EHR_CLIENT_ID"] == "reader"


def test_a_cluster_says_how_it_is_whichever_server_is_gone() -> None:
    """Production does not start without that answer: docs/how-to/install-compose.md must not ask one server for it."""
    told = set(
        re.findall(r"_NATS_MONITOR_URL=http://([\w-]+):8222", (ROOT / "docs/how-to/install-compose.md").read_text())
    )
    common = [set(service(f"nats-{index}")["networks"]["bus"]["aliases"]) for index in (1, 2, 3)]
    assert told == set.intersection(*common)
    assert not told & set(SERVICES)  # beside a server of that name they would be taken for each other


def test_all_pages_are_behind_one_port() -> None:
    """What nginx does with the files that are mounted: test_proxy_routes.py."""
    opened = {name: [port["published"] for port in service(name).get("ports", [])] for name in SERVICES}
    assert (opened["proxy"], opened["approval"], opened["evaluator"]) == (["8080"], [], [])
    assert service("approval")["environment"]["COUNTERSIGN_PUBLIC_URL"] == "http://127.0.0.1:8080"
    mounted = {item["target"]: ROOT / Path(item["source"]).relative_to(ROOT) for item in service("proxy")["volumes"]}
    assert all(file.is_file() for file in mounted.values())
    assert all(item["read_only"] for item in service("proxy")["volumes"])
    reached = set(service("proxy")["networks"])
    assert all(reached & set(service(name)["networks"]) for name in ("approval", "ingest", "evaluator"))


def test_a_gpu_is_reserved_where_one_is_asked_for() -> None:
    (device,) = service("triton-gpu")["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_nobody_reaches_the_bus_or_the_models_from_outside() -> None:
    networks = rendered()["networks"]
    assert all(networks[name]["internal"] for name in ("bus", "inference", "vectors", "telemetry"))
    assert set(service("nats")["networks"]) == {"bus"}
    assert "edge" not in service("triton")["networks"]


@pytest.mark.parametrize("name", ["triton", "triton-gpu"])
def test_the_model_server_is_reached_by_three_services_and_prometheus(name: str) -> None:
    """The bundled version has holes (docs/adr/0039): who reaches it is part of what closes them."""
    own = set(service(name)["networks"])
    beside = {other for other in SERVICES if own & set(service(other)["networks"])}
    assert beside == {"triton", "triton-gpu", "drafter", "embedder", "evaluator", "prometheus"}
    assert all(rendered()["networks"][network]["internal"] for network in own)
    assert "8000" not in str(service(name)["healthcheck"])


@pytest.mark.parametrize("name", SERVICES)
def test_an_opened_port_is_on_a_network_that_leads_outside(name: str) -> None:
    """Docker opens none of a container that is on internal networks only."""
    networks = rendered()["networks"]
    assert not service(name).get("ports") or any(not networks[on].get("internal") for on in service(name)["networks"])


@pytest.mark.parametrize("name", SERVICES)
def test_who_is_given_a_secret_may_read_it(name: str) -> None:
    found = service(name)
    groups = {*found["user"].split(":")[1:], *found.get("group_add", [])}
    assert not found.get("secrets") or READERS in groups


@pytest.mark.parametrize("name", SERVICES)
def test_a_volume_belongs_to_the_user_who_writes_to_it(name: str) -> None:
    made = set((ROOT / "deploy/docker/Dockerfile").read_text().split())
    for volume in service(name).get("volumes", []):
        if volume["type"] == "volume" and not volume.get("read_only"):
            assert volume["target"] in (made if "build" in service(name) else OF_THE_IMAGE), volume["target"]


def test_the_model_server_may_run_its_stub_from_its_own_tmp() -> None:
    """Docker's tmpfs is noexec unless it is said otherwise; nobody else's is."""
    assert {name for name in SERVICES if any("exec" in item for item in service(name)["tmpfs"])} == {"triton"}


def test_grafana_writes_where_it_may() -> None:
    """Its image keeps its database in /var/lib/grafana unless GF_PATHS_DATA says otherwise."""
    data = service("grafana")["environment"].get("GF_PATHS_DATA", "/var/lib/grafana")
    assert data in {volume["target"] for volume in service("grafana")["volumes"] if volume["type"] == "volume"}


def test_what_is_needed_answers_before_who_needs_it() -> None:
    waits = service("provision")["depends_on"]
    assert {name: item["condition"] for name, item in waits.items()} == {"nats": "service_healthy"} | {
        f"nats-{index}": "service_healthy" for index in (1, 2, 3)
    }
    assert not any(item["required"] for item in waits.values())  # one, or a cluster
    assert {"COUNTERSIGN_NATS_REPLICAS", "COUNTERSIGN_NATS_PLACEMENT"} <= service("provision")["environment"].keys()
    for name in ("drafter", "embedder", "evaluator"):
        assert {"provision", "qdrant", "triton"} <= service(name)["depends_on"].keys()


@pytest.mark.parametrize("name", ["provision", "sandbox-ehr", "demo", "triton"])
def test_commands_are_modules_of_ours(name: str) -> None:
    command = service(name)["command"] or ["python", "-m", "cli.container.triton"]  # of the Dockerfile
    assert command[:2] == ["python", "-m"]
    assert importlib.util.find_spec(command[2]) is not None


def test_the_issuer_is_the_same_for_browsers_and_services() -> None:
    keycloak = service("keycloak")
    issuer = urlsplit(keycloak["environment"]["KC_HOSTNAME"])
    assert issuer.hostname in keycloak["networks"]["edge"]["aliases"]
    (port,) = keycloak["ports"]
    assert {str(issuer.port), keycloak["environment"]["KC_HTTP_PORT"]} == {port["published"]} == {str(port["target"])}


@pytest.mark.skipif(not PROMTOOL.exists(), reason="promtool is not here (tools/fetch.sh)")
def test_prometheus_understands_its_configuration_and_has_the_key_it_names() -> None:
    file = ROOT / "deploy/prometheus/prometheus.yml"
    done = subprocess.run(
        [str(PROMTOOL), "check", "config", "--syntax-only", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    jobs = {job["job_name"]: job for job in yaml.safe_load(file.read_text())["scrape_configs"]}
    mounted = {f"/run/secrets/{item['source']}" for item in service("prometheus")["secrets"]}
    assert jobs["qdrant"]["authorization"]["credentials_file"] in mounted


def test_the_offline_file_builds_and_pulls_nothing_else() -> None:
    """What docs/how-to/install-compose.md starts where no image can be had."""
    wanted = ("nats", "provision", "sandbox-ehr", "triton", "ingest", "drafter", "approval")
    found = render("compose.yaml", "deploy/docker/compose.offline.yaml")["services"]
    assert {found[name]["image"].partition(":")[0] for name in wanted} == {"countersign", "countersign-triton"}
    assert {needed for name in wanted for needed in found[name].get("depends_on", {})} <= {
        *wanted,
        *("nats-1", "nats-2", "nats-3"),
    }


def test_what_is_mounted_is_there() -> None:
    for name in SERVICES:
        for volume in service(name).get("volumes", []):
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), volume["source"]


def test_the_dockerfile_holds_what_hadolint_asks() -> None:
    done = subprocess.run(
        [str(HADOLINT), "deploy/docker/Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
