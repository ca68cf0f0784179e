"""compose.vllm.yaml: vLLM as an endpoint that drafts, with a key, and reached by nobody else."""

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.runtime.generation_endpoints import read_endpoints
from tests.deploy.test_compose import COMPOSE, READERS, ROOT, render
from tests.deploy.test_k8s import containers
from tests.support.settings import KNOWN

pytestmark = pytest.mark.skipif(not COMPOSE.exists(), reason="Docker Compose is not here (tools/fetch.sh)")

FILES = ("compose.yaml", "compose.vllm.yaml")
ENDPOINTS = ROOT / "deploy/docker/endpoints.vllm.yaml"

Thing = dict[str, Any]


@cache
def together() -> Thing:
    return render(*FILES, COUNTERSIGN_VLLM_MODELS="/srv/models")


@cache
def alone() -> Thing:
    return render("compose.yaml")


def vllm() -> Thing:
    found: Thing = together()["services"]["vllm"]
    return found


def in_kubernetes() -> Thing:
    (found,) = [container for owner, container in containers("overlays/vllm") if owner == "vllm"]
    return found


def test_only_the_drafter_is_changed() -> None:
    before, after = alone()["services"], together()["services"]
    assert after.keys() - before.keys() == {"vllm"}
    assert {name for name in before if before[name] != after[name]} == {"drafter"}
    ours, model = after["drafter"], before["drafter"]
    changed = {key for key in ours.keys() | model.keys() if ours.get(key) != model.get(key)}
    assert changed == {"configs", "depends_on", "environment", "secrets"}
    assert ours["depends_on"].keys() - model["depends_on"].keys() == {"vllm"}
    assert ours["depends_on"]["vllm"]["condition"] == "service_healthy"


def test_it_may_no_more_than_it_needs() -> None:
    found = vllm()
    assert found["user"] == f"10001:{READERS}"
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert int(found["mem_limit"]) > 0
    assert re.search(r":v\d+\.\d+\.\d+@sha256:[0-9a-f]{64}$", found["image"])
    assert [(item["type"], item["target"], item["read_only"]) for item in found["volumes"]] == [
        ("bind", "/models", True)
    ]
    (device,) = found["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])


def test_nobody_reaches_it_but_who_asks_a_model_server_and_it_reaches_nobody_outside() -> None:
    found, networks = vllm(), together()["networks"]
    assert not found.get("ports"), "the drafter needs none"
    assert all(networks[name]["internal"] for name in found["networks"])
    beside = {name for name, item in together()["services"].items() if set(item["networks"]) & set(found["networks"])}
    assert beside == {"vllm", "triton", "triton-gpu", "drafter", "embedder", "evaluator", "prometheus"}
    assert found["environment"]["HF_HUB_OFFLINE"] == "1"


def test_it_is_healthy_when_the_model_is_loaded() -> None:
    check = vllm()["healthcheck"]
    assert check["test"][:3] == ["CMD", "python3", "-c"]
    compile(check["test"][3], "healthcheck", "exec")
    assert "http://127.0.0.1:8000/health" in check["test"][3]
    assert "--port=8000" in vllm()["command"]
    assert check["start_period"] == "20m0s"


def test_the_drafter_has_it_as_an_endpoint_with_the_key_that_it_requires() -> None:
    drafter = together()["services"]["drafter"]
    told = drafter["environment"]
    assert {key for key in told if key.startswith("COUNTERSIGN_")} <= KNOWN
    (config,) = [item for item in drafter["configs"] if item["target"] == told["COUNTERSIGN_GENERATION_ENDPOINTS"]]
    assert Path(together()["configs"][config["source"]]["file"]) == ENDPOINTS
    (endpoint,) = read_endpoints(ENDPOINTS).values()
    assert endpoint.name == told["COUNTERSIGN_TRITON_DRAFTER_MODEL"]
    assert (endpoint.url, endpoint.kind) == ("http://vllm:8000/v1", "openai")
    assert not endpoint.remote, "production needs no region or agreement for it"
    assert f"--served-model-name={endpoint.model}" in vllm()["command"]
    assert str(endpoint.key_file) in {item["target"] for item in drafter["secrets"]}
    assert set(drafter["networks"]) & set(vllm()["networks"])
    holders = {name for name, item in together()["services"].items() if "vllm." in str(item.get("secrets"))}
    assert holders == {"drafter", "vllm"}


def test_another_file_of_endpoints_and_another_model_can_be_named() -> None:
    variables = {"COUNTERSIGN_ENDPOINTS_FILE": "/etc/own.yaml", "COUNTERSIGN_TRITON_DRAFTER_MODEL": "drafter"}
    found = render(*FILES, COUNTERSIGN_VLLM_MODELS="/srv/models", **variables)
    assert found["configs"]["endpoints"]["file"] == "/etc/own.yaml"
    assert found["services"]["drafter"]["environment"]["COUNTERSIGN_TRITON_DRAFTER_MODEL"] == "drafter"


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_its_key_is_read_from_a_file(where: str) -> None:
    """vLLM reads a file of options only where `--config` is an argument of its own: vllm-project/vllm#43252."""
    if where == "compose":
        command, files = vllm()["command"], {item["target"] for item in vllm()["secrets"]}
        environment = vllm()["environment"]
    else:
        container = in_kubernetes()
        command = container["args"]
        files = {f"{item['mountPath']}/vllm.yaml" for item in container["volumeMounts"] if item["name"] == "key"}
        environment = {item["name"]: item["value"] for item in container["env"]}
    assert not any(item.startswith("--config=") for item in command)
    assert {command[command.index("--config") + 1]} == files
    assert not any("api-key" in item for item in command)
    assert "VLLM_API_KEY" not in environment
    assert environment["USER"], "PyTorch asks for the name of a user that the image does not have"


@pytest.mark.parametrize("file", ["compose.vllm.yaml", "deploy/k8s/components/vllm/kustomization.yaml"])
def test_the_commands_write_the_key_as_text(file: str, tmp_path: Path) -> None:
    """A key of digits, or one such as 12e4, is a number in YAML where it is not quoted."""
    (command,) = re.findall(r'echo "api-key: .*\.yaml', (ROOT / file).read_text())
    (tmp_path / "secrets").mkdir()
    for folder in (tmp_path, tmp_path / "secrets"):
        (folder / "vllm.key").write_text("12e4\n")
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    (written,) = tmp_path.rglob("vllm.yaml")
    assert yaml.safe_load(written.read_text()) == {"api-key": "12e4"}


def test_it_is_the_version_of_kubernetes() -> None:
    assert vllm()["image"] == in_kubernetes()["image"]
    shared = {"--model=/models/drafter", "--served-model-name=drafter", "--port=8000", "--max-model-len=8192"}
    assert shared <= set(vllm()["command"]) & set(in_kubernetes()["args"])


def test_without_the_folder_of_the_model_it_says_what_is_missing() -> None:
    done = subprocess.run(
        [str(COMPOSE), "--file", FILES[0], "--file", FILES[1], "config"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/"},
    )
    assert done.returncode != 0
    assert "COUNTERSIGN_VLLM_MODELS is missing" in done.stderr
