"""What compose.yaml promises: it is valid for every profile, and no container may more than it needs."""

import importlib
import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.settings import KNOWN

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / ".tools/usr/libexec/docker/cli-plugins/docker-compose"
HADOLINT = ROOT / ".venv/bin/hadolint"
STAND_INS = {"keycloak"}  # rewrites itself when it starts: only for a look at sign-on
WITHOUT_SHELL = {"otel-collector", "tempo", "hapi", "provision"}  # nothing in the image to ask with, or it ends

pytestmark = pytest.mark.skipif(not COMPOSE.exists(), reason="Docker Compose is not here (tests/tools.sh)")


@cache
def rendered() -> dict[str, Any]:
    """The whole file with every profile, as Compose understands it."""
    done = subprocess.run(
        [str(COMPOSE), "--file", "compose.yaml", "--profile", "*", "config", "--format", "json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
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
    _, _, tag = service(name)["image"].rpartition(":")
    assert any(character.isdigit() for character in tag), service(name)["image"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_asked_how_it_is(name: str) -> None:
    check = service(name).get("healthcheck", {})
    own_image = "build" in service(name)  # the Dockerfile says how
    assert own_image or check.get("test") or name in WITHOUT_SHELL


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


def test_a_gpu_is_reserved_where_one_is_asked_for() -> None:
    (device,) = service("triton-gpu")["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_nobody_reaches_the_bus_or_the_models_from_outside() -> None:
    networks = rendered()["networks"]
    assert all(networks[name]["internal"] for name in ("bus", "inference", "telemetry"))
    assert set(service("nats")["networks"]) == {"bus"}
    assert "edge" not in service("triton")["networks"]


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
