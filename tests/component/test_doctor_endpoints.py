"""What the doctor says of declared endpoints."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from cli.doctor.endpoints import check_endpoints
from cli.doctor.target import DoctorTarget
from cli.stack.ports import free_port
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.generation_endpoints import EndpointSettings
from tests.support.model_api import KEY, MODELS, model_server


async def findings(tmp_path: Path, text: str) -> list[Finding]:
    file = tmp_path / "endpoints.yaml"
    file.write_text(f"endpoints:\n{text}")
    target = SimpleNamespace(generation=EndpointSettings(endpoints=file))
    group = Group("connections")
    await check_endpoints(group, cast(DoctorTarget, cast(Any, target)))
    return group.found


async def test_each_endpoint_is_shown_with_host_region_and_what_it_serves(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    with model_server("openai") as server:
        common = f"kind: openai, url: '{server.url}', key_file: {key}"
        one, other, wrong, away, unread, remote = await findings(
            tmp_path,
            f"  - {{name: one, {common}, model: {MODELS['openai']}, region: on site, pseudonymise: true}}\n"
            f"  - {{name: other, {common}, model: else}}\n"
            f"  - {{name: wrong, kind: openai, url: '{server.url}', model: else}}\n"
            f"  - {{name: away, kind: triton, url: '127.0.0.1:{free_port()}', model: m}}\n"
            "  - {name: remote, kind: anthropic, url: 'http://api.example', model: m, key_file: /none, region: us}\n",
        )
    assert one.level == "ok"
    assert one.what == "endpoint one"
    where = "openai at 127.0.0.1, in the hospital's network"
    assert one.says == f"{where}, region on site, gets pseudonyms; serves {MODELS['openai']}"
    assert other.level == "warning"
    assert other.says == f"{where}; it answers and does not list else, but {MODELS['openai']}"
    assert (wrong.level, wrong.says) == ("fault", f"{where}; wrong: HTTP 401")
    assert (away.level, away.says) == ("fault", "triton at 127.0.0.1, in the hospital's network; m is not ready")
    assert unread.level == remote.level == "fault"
    assert "anthropic at api.example, outside of the hospital, region us; " in unread.says
    assert "/none" in unread.says
    assert "it lacks a region, an agreement or https://" in remote.says


async def test_a_file_that_is_wrong_is_one_fault(tmp_path: Path) -> None:
    (found,) = await findings(tmp_path, "  - {name: one}\n")
    assert found.level == "fault"
    assert "endpoints.0.kind: is missing" in found.says
