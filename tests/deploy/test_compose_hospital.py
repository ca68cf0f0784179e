"""compose.hospital.yaml: a hospital's services beside the first's, with nothing of the first's but what they share."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.deploy.test_compose import COMPOSE, ROOT

pytestmark = pytest.mark.skipif(not COMPOSE.exists(), reason="Docker Compose is not here (tools/fetch.sh)")

EXAMPLE = "deploy/docker/hospital.env"
GUIDE = "docs/how-to/add-a-hospital.md"
SHARED_NETWORKS = {"bus", "inference", "telemetry"}
# What is the hospital's own in a service's environment; everything else is as in compose.yaml.
OWN = {
    "COUNTERSIGN_ORGANIZATION",
    "COUNTERSIGN_PUBLIC_URL",
    "COUNTERSIGN_EHR_URL",
    "COUNTERSIGN_QDRANT_URL",
    "COUNTERSIGN_PROMETHEUS_URL",
}
HOST = re.compile(r"(?:\w+://|^|,)([a-z][\w.-]*):\d+")

Thing = dict[str, Any]


def compose(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMPOSE), *arguments, "--profile", "*", "config", "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")} | variables,
    )


@cache
def first() -> Thing:
    return read(compose("--file", "compose.yaml"))


@cache
def hospital() -> Thing:
    return read(compose("--env-file", EXAMPLE, "--file", "compose.hospital.yaml"))


def read(done: subprocess.CompletedProcess[str]) -> Thing:
    assert done.returncode == 0, done.stderr
    found: Thing = json.loads(done.stdout)
    return found


def test_its_services_are_those_of_the_first_and_as_confined() -> None:
    assert hospital()["name"] == "hospital-b"
    assert {"provision", "ingest", "drafter", "approval", "embedder", "evaluator"} <= hospital()["services"].keys()
    for name, service in hospital()["services"].items():
        model = first()["services"][name]
        differs = {key for key in service.keys() | model.keys() if service.get(key) != model.get(key)}
        assert differs <= {"environment", "depends_on", "networks", "ports", "profiles"}, name
        told, before = service.get("environment") or {}, model.get("environment") or {}
        assert {key for key in told.keys() | before.keys() if told.get(key) != before.get(key)} <= OWN, name
        assert service["networks"].keys() <= model["networks"].keys()
    assert hospital()["services"]["approval"]["environment"]["COUNTERSIGN_PROMETHEUS_URL"] == ""


def test_it_is_started_by_one_command_and_waits_for_nothing_that_runs_elsewhere() -> None:
    for name, service in hospital()["services"].items():
        needed = service.get("depends_on") or {}
        assert needed.keys() <= hospital()["services"].keys(), name
        if name not in ("provision", "proxy", "qdrant", "sandbox-ehr"):
            assert needed["provision"]["condition"] == "service_completed_successfully", name
    assert {name for name, service in hospital()["services"].items() if service.get("profiles")} == {"sandbox-ehr"}
    command = "docker compose --env-file hospital-b.env -f compose.hospital.yaml up -d --wait"
    assert command in (ROOT / GUIDE).read_text()
    assert command in (ROOT / "compose.hospital.yaml").read_text()


def test_keys_volumes_and_ports_are_its_own() -> None:
    for secret in hospital()["secrets"].values():
        assert Path(secret["file"]).parent == ROOT / "hospital-b"
    ours, theirs = ({volume["name"] for volume in part["volumes"].values()} for part in (hospital(), first()))
    assert ours.isdisjoint(theirs)
    assert set(published(hospital())).isdisjoint(published(first()))
    for name, network in hospital()["networks"].items():
        assert network.get("external", False) == (name in SHARED_NETWORKS)
        if name in SHARED_NETWORKS:
            assert network["name"] == first()["networks"][name]["name"]


def published(project: Thing) -> Iterator[str]:
    for service in project["services"].values():
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1"
            yield port["published"]


def answering(host: str, networks: set[str]) -> list[str]:
    """The services of both stacks that have this name on one of the networks."""
    found = []
    for project in (first(), hospital()):
        for name, service in project["services"].items():
            for network, options in service["networks"].items():
                names = {name, *((options or {}).get("aliases") or ())}
                if project["networks"][network]["name"] in networks and host in names:
                    found.append(f"{project['name']}/{name}")
    return sorted(set(found))


@pytest.mark.parametrize("project", [first, hospital])
def test_a_name_is_answered_by_one_service_of_the_right_hospital(project: Any) -> None:
    """Two stacks meet on shared networks, where Docker answers for both services of the same name in turn."""
    asked = 0
    for name, service in project()["services"].items():
        networks = {project()["networks"][network]["name"] for network in service["networks"]}
        texts = [*(service.get("environment") or {}).values(), *(service.get("command") or ())]
        for host in {host for text in texts for host in HOST.findall(str(text))}:
            found = answering(host, networks)
            assert len(found) <= 1, f"{name} asks {host}: {found}"
            asked += len(found)
    assert asked >= 15, "it has looked"


def test_its_services_reach_what_they_ask_for() -> None:
    drafter = hospital()["services"]["drafter"]
    networks = {hospital()["networks"][network]["name"] for network in drafter["networks"]}
    told = drafter["environment"]
    hosts = [HOST.findall(told[f"COUNTERSIGN_{name}_URL"])[0] for name in ("NATS", "TRITON", "QDRANT", "EHR")]
    assert [answering(host, networks) for host in hosts] == [
        ["countersign/nats"],
        ["countersign/triton"],
        ["hospital-b/qdrant"],
        ["hospital-b/sandbox-ehr"],
    ]


@pytest.mark.parametrize("missing", ["COUNTERSIGN_ORGANIZATION", "COUNTERSIGN_SECRETS"])
def test_it_does_not_start_with_the_first_hospitals_name_or_keys(missing: str) -> None:
    variables = {"COUNTERSIGN_ORGANIZATION": "hospital-b", "COUNTERSIGN_SECRETS": "./hospital-b"}
    del variables[missing]
    refused = compose("--env-file", "/dev/null", "--file", "compose.hospital.yaml", **variables)
    assert refused.returncode != 0
    assert f"required variable {missing} is missing" in refused.stderr


def test_secrets_init_makes_every_file_that_either_stack_mounts(tmp_path: Path) -> None:
    made = tmp_path / "secrets"
    done = CliRunner().invoke(app, ["secrets", "init", str(made)], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    for arguments in (("--file", "compose.yaml"), ("--env-file", EXAMPLE, "--file", "compose.hospital.yaml")):
        for secret in read(compose(*arguments, COUNTERSIGN_SECRETS=str(made)))["secrets"].values():
            assert Path(secret["file"]).parent == made
            assert Path(secret["file"]).exists(), secret["file"]
