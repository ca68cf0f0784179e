"""A service as a process in production: it starts on a safe server, and says why it does not start on another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from cli.stack.nats import configuration
from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from services.ingest.settings import IngestSettings
from shared.runtime.deployment_facts import deployment_facts
from shared.runtime.preflight import preflight_errors
from shared.runtime.start import describe_settings_error
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected


def monitor(server: NatsServer) -> str:
    return f"http://127.0.0.1:{server.ports.monitor}"


def environment(server: NatsServer, tokens: Path, **more: str) -> dict[str, str]:
    return {
        "COUNTERSIGN_NATS_URL": server.url,
        "COUNTERSIGN_NATS_MONITOR_URL": monitor(server),
        "COUNTERSIGN_NATS_SEED": server.secrets.seeds["ingest"],
        "COUNTERSIGN_TOKENS_FILE": str(tokens),
    } | more


def refused(settings: dict[str, str]) -> str:
    """What it says on stderr: exit code 2, nothing else."""
    done = subprocess.run(
        [sys.executable, "-m", "services.ingest.main"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=os.environ | settings,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def tokens(tmp_path: Path, nats: NatsServer) -> Path:
    """Machines only: nobody may sign by them."""
    path = tmp_path / "tokens.json"
    write_tokens(path, {role: nats.secrets.tokens[role] for role in ("ingest", "operator", "auditor")})  # 0600
    return path


async def test_it_starts_where_everything_is_as_it_should_be(nats: NatsServer, tokens: Path, tmp_path: Path) -> None:
    await nats.provision()
    port = free_port()
    part = ServiceProcess(
        "ingest",
        [sys.executable, "-m", "services.ingest.main"],
        f"http://127.0.0.1:{port}/readyz",
        tmp_path / "ingest.log",
        environment(nats, tokens, COUNTERSIGN_PORT=str(port)),
    )
    part.start()
    try:
        part.wait()
    finally:
        part.kill()


def test_what_a_power_cut_may_lose_is_refused(nats: NatsServer, tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nats.kill()
    monkeypatch.setattr(
        "tests.support.server.configuration",
        lambda *asked: configuration(*asked).replace('"sync_interval": "always"', '"sync_interval": "2m"'),
    )
    nats.start()
    said = refused(environment(nats, tokens))
    assert said.count("\n") == 1
    assert "a power cut may lose" in said
    assert "COUNTERSIGN_ALLOW_UNSAFE_DURABILITY" in said


async def test_open_authentication_is_found_out(tokens: Path, nats: NatsServer) -> None:
    def asked(**more: str) -> IngestSettings:
        given = {"tokens_file": tokens, "nats_seed": "x", "nats_monitor_url": monitor(nats)}
        return IngestSettings.model_validate(given | more)

    assert preflight_errors(await deployment_facts(asked())) == []
    (said,) = preflight_errors(await deployment_facts(asked(host="::")))
    assert "static tokens only" in said
    tokens.chmod(0o644)  # noqa: ASYNC240 - one call
    (said,) = preflight_errors(await deployment_facts(asked()))
    assert "chmod o= it" in said
    write_tokens(tokens, nats.secrets.tokens)
    (said,) = preflight_errors(await deployment_facts(asked()))
    assert "demo-physician" in said


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("COUNTERSIGN_PORT", "s3cret", "COUNTERSIGN_PORT: Input should be a valid integer"),
        ("COUNTERSIGN_OIDC_ROLES", "s3cret", "COUNTERSIGN_OIDC_ROLES is not valid JSON"),
        ("COUNTERSIGN_OIDC_ROLES", '{"a": "s3cret"}', "COUNTERSIGN_OIDC_ROLES_A: Input should be"),
        ("COUNTERSIGN_DEFAULT_DEPARTMENT", "S 3cret s3cret", "COUNTERSIGN_DEFAULT_DEPARTMENT: "),
        ("COUNTERSIGN_NATS_SEED", "", "set COUNTERSIGN_NATS_SEED or"),
    ],
)
def test_settings_that_make_no_sense_are_put_into_words(
    setting: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERSIGN_NATS_SEED", "x")
    monkeypatch.setenv(setting, value)
    with pytest.raises((ValidationError, SettingsError)) as caught:
        IngestSettings()
    said = describe_settings_error(caught.value)
    assert words in said
    assert "s3cret" not in said


def test_a_file_that_is_not_there_is_one_sentence(nats: NatsServer, tokens: Path) -> None:
    said = refused(environment(nats, tokens, COUNTERSIGN_NATS_SEED_FILE="/nowhere/seed"))
    assert said == "countersign does not start: /nowhere/seed cannot be read (No such file or directory).\n"
