"""What an installation does once: make its secrets, and bring the bus to the topology."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography import x509

from cli.stack.certificates import names_of
from cli.stack.ehr_client import JWKS, KEYS
from cli.stack.nats_files import ACCOUNTS, generated_name, nodes
from shared.messaging.checkpoints import public_key, signing_key
from shared.messaging.topology import SERVICES, STREAMS
from shared.oauth.client_keys import parse_keys, public_jwks
from tests.support.command import run
from tests.support.installation import accepted, on_this_machine
from tests.support.server import NatsServer

pytestmark = [pytest.mark.connected, pytest.mark.system]


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_secrets_are_made_once_and_the_servers_configuration_is_understood(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    first = run("secrets", "init", str(directory), "--json")
    assert first.returncode == 0, first.stderr
    made = contents(directory)
    assert {f"{service}.seed" for service in SERVICES} | {"admin.seed", "tokens.json"} <= made.keys()
    assert directory.stat().st_mode & 0o777 == 0o700
    pair = signing_key(directory / "checkpoint.key").public_key(), public_key(directory / "checkpoint.pub")
    assert pair[0] == pair[1]
    client = parse_keys((directory / KEYS).read_text())
    assert [key.get("alg") for key in client] == ["ES384", "RS384"]
    assert json.loads((directory / JWKS).read_text()) == public_jwks(client)
    for name in ("secrets.json", "ca.key"):
        assert (directory / name).stat().st_mode & 0o777 == 0o600
    named = names_of(x509.load_pem_x509_certificate(made["nats.crt"]))
    copied = on_this_machine(directory, tmp_path / "here")
    for name in nodes():
        assert accepted(copied / name) == ""
        text = made[generated_name(name)].decode()
        assert '"sync_interval": "always"' in text
        assert '"cipher": "aes"' in text
        made_of = json.loads(text.split("\n", 1)[1].replace("$POD_NAME", '"nats-0"'))
        for block in [made_of["tls"], *([made_of["cluster"]["tls"]] if "cluster" in made_of else [])]:
            assert block["min_version"] == "1.3"
        if "cluster" in made_of:
            assert made_of["cluster"]["tls"]["verify"] is True
            assert {urlsplit(route).hostname for route in made_of["cluster"]["routes"]} <= named
    assert run("secrets", "init", str(directory)).returncode == 0
    assert contents(directory) == made
    keys = {name: made[f"{name}.key"].decode().strip() for name in ("qdrant", "qdrant-read")}
    assert yaml.safe_load(made["qdrant.yaml"])["service"] == {
        "api_key": keys["qdrant"],
        "read_only_api_key": keys["qdrant-read"],
    }
    assert run("secrets", "init", str(directory), "--rotate-ehr-keys").returncode == 0
    rotated = parse_keys((directory / KEYS).read_text())
    assert {key.kid for key in client} < {key.kid for key in rotated}
    assert len(rotated) == 4
    assert json.loads((directory / JWKS).read_text()) == public_jwks(rotated)
    (directory / "secrets.json").write_text("{}")
    assert "cannot be read" in run("secrets", "init", str(directory)).stderr


def test_a_server_that_is_called_otherwise_is_named_in_the_certificate(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    for more in (("--nats-host", "bus.hospital.example", "--nats-host", "10.1.2.3"), ("--namespace", "ward"), ()):
        assert run("secrets", "init", str(directory), *more).returncode == 0
    named = names_of(x509.load_pem_x509_certificate((directory / "nats.crt").read_bytes()))
    assert {"bus.hospital.example", "10.1.2.3", "nats-0.nats-headless.ward.svc", "nats-3"} <= named
    refused = run("secrets", "init", str(directory), "--nats-host", "tls://nats:4222")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_an_account_that_was_named_once_is_kept(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    assert run("secrets", "init", str(directory), "--account", "WARD_B", "--storage-gb", "3").returncode == 0
    made = contents(directory)
    assert b"WARD_B" in made[ACCOUNTS]
    assert str(3 * 2**30).encode() in made["account.conf"]
    assert run("secrets", "init", str(directory)).returncode == 0
    assert contents(directory) == made


def test_secrets_are_not_put_where_others_may_look(tmp_path: Path) -> None:
    directory = tmp_path / "secrets"
    directory.mkdir(mode=0o755)
    refused = run("secrets", "init", str(directory))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "chmod 700" in refused.stderr
    assert list(directory.iterdir()) == []


def test_the_bus_is_brought_to_the_topology_by_a_command(nats: NatsServer, tmp_path: Path) -> None:
    seed = tmp_path / "admin.seed"
    seed.write_text(nats.secrets.seeds["admin"])
    arguments = ("provision", "--nats-url", nats.url, "--seed-file", str(seed))
    first = json.loads(run(*arguments, "--json").stdout)
    assert {f"stream {item.name}" for item in STREAMS} <= {change["what"] for change in first}
    assert {change["action"] for change in first} == {"created"}
    assert {line.split()[0] for line in run(*arguments).stdout.splitlines()} == {"unchanged"}


def test_what_provisioning_cannot_do_is_one_sentence(nats: NatsServer, tmp_path: Path) -> None:
    seed = tmp_path / "ingest.seed"
    seed.write_text(nats.secrets.seeds["ingest"])
    missing = run("provision", "--nats-url", nats.url, "--seed-file", str(tmp_path / "none"))
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    nobody = run("provision", "--nats-url", "nats://127.0.0.1:9", "--seed-file", str(seed))
    assert nobody.returncode == 2
    assert "NATS does not answer" in nobody.stderr
    placed = run(
        "provision", "--nats-url", nats.url, "--seed-file", str(seed), COUNTERSIGN_NATS_PLACEMENT="region:eu, TRAIL=x"
    )
    assert (placed.returncode, placed.stderr.count("\n")) == (2, 1)
    assert "there is no stream TRAIL; there are EHR, DISCHARGE" in placed.stderr
