"""The OpenAPI document of every service passes a linter, and says of each operation what all of them have in common."""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from docs._generate.http_api import SERVICES, openapi
from shared.runtime.problems import MEDIA_TYPE

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[1] / "openapi"
PROBES = ("/healthz", "/readyz")


@cache
def document(service: str) -> dict[str, Any]:
    return openapi(service)


def operations(service: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document(service)["paths"].items():
        for method, operation in methods.items():
            if path not in PROBES:
                yield f"{method.upper()} {path}", operation


@pytest.fixture(scope="module")
def spectral() -> Path:
    """The linter as its lock file says."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not here: the linter comes from npm's registry")
    found = FOLDER / "node_modules" / ".bin" / "spectral"
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes, and they share the folder
        if not found.exists():
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=300)
    return found


def findings(spectral: Path, file: Path) -> list[str]:
    ruleset = str(FOLDER / "ruleset.yaml")
    command = [str(spectral), "lint", "--quiet", "--format", "json", "--ruleset", ruleset]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode in (0, 1), done.stderr
    return [f"{item['code']}: {item['message']} ({'/'.join(item['path'])})" for item in json.loads(done.stdout or "[]")]


@pytest.mark.parametrize("service", SERVICES)
def test_the_linter_finds_nothing(service: str, spectral: Path, tmp_path: Path) -> None:
    file = tmp_path / f"{service}.json"
    file.write_text(json.dumps(document(service)))
    assert findings(spectral, file) == []


def test_the_linter_finds_what_is_wrong(spectral: Path, tmp_path: Path) -> None:
    """Such as an example that does not match its schema, or a tag, a parameter or a field without a description."""
    broken = json.loads(json.dumps(document("approval")))
    broken["paths"]["/v1/absences"]["post"]["tags"] = ["unheard"]
    broken["paths"]["/v1/absences"]["get"]["responses"]["401"]["content"][MEDIA_TYPE]["example"] = {"status": "no"}
    del broken["paths"]["/v1/cases/{case_id}"]["get"]["parameters"][0]["description"]
    del broken["components"]["schemas"]["CaseView"]["properties"]["state"]["description"]
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(broken))
    codes = {item.partition(":")[0] for item in findings(spectral, file)}
    assert codes >= {
        "operation-tag-defined",
        "oas3-valid-media-example",
        "oas3-parameter-description",
        "field-description",
    }


@pytest.mark.parametrize("service", SERVICES)
def test_every_error_is_a_problem_document(service: str) -> None:
    for name, operation in operations(service):
        errors = {status: item for status, item in operation["responses"].items() if status >= "4"}
        assert {"422", "502", "503"} <= errors.keys(), name
        for status, answer in errors.items():
            assert set(answer["content"]) == {MEDIA_TYPE}, (name, status)
            assert answer["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
            wanted = {"401": {"WWW-Authenticate"}, "429": {"Retry-After"}, "503": {"Retry-After"}}.get(status, set())
            assert set(answer.get("headers", {})) >= wanted, (name, status)


@pytest.mark.parametrize("service", SERVICES)
def test_operations_say_who_may_call_them(service: str) -> None:
    schemes = document(service)["components"].get("securitySchemes", {})
    for name, operation in operations(service):
        asked = {scheme for item in operation["security"] for scheme in item}
        assert asked <= schemes.keys(), name
        assert bool(asked) == ({"401", "403"} <= operation["responses"].keys()), name
        assert ("Roles: " in operation["description"]) == bool(asked), name


def models_of_bodies(service: str) -> Iterator[str]:
    """Names of the schemas that are sent as JSON."""
    for _, operation in operations(service):
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        for item in (schema, *schema.get("anyOf", ())):  # a body that may be missing is one of two schemas
            if "$ref" in item:
                yield item["$ref"].rpartition("/")[2]


@pytest.mark.parametrize("service", SERVICES)
def test_every_body_has_an_example_that_is_valid(service: str) -> None:
    names = set(models_of_bodies(service))
    assert names
    for name in names:
        found = document(service)["components"]["schemas"][name]
        assert found.get("examples"), f"{name} has no example"
        schema = {"$ref": f"#/components/schemas/{name}", "components": document(service)["components"]}
        for example in found["examples"]:
            jsonschema.validate(example, schema, jsonschema.Draft202012Validator)


def test_what_needs_no_authentication_is_public_by_its_nature() -> None:
    public = {name for service in SERVICES for name, item in operations(service) if not item["security"]}
    assert public == {"GET /.well-known/oauth-protected-resource", "GET /.well-known/jwks.json"}
