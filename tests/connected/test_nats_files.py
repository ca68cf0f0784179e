"""The NATS configuration of an installation: what an administrator wrote survives each `countersign secrets init`."""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.errors import CommandError
from cli.main import app
from cli.stack.nats_config import ACCOUNT, Tenant, configuration
from cli.stack.nats_files import OTHER_ACCOUNT, nodes
from cli.stack.secrets import load_or_create
from tests.support import http
from tests.support.installation import Installation, accepted, on_this_machine, running_by

pytestmark = pytest.mark.connected

MONITORING = '"MONITORING": {users: [{user: "watch", password: "watch"}]}'
OWN = f'"accounts": {{ include "hospital-b.conf"\n # of the monitoring team\n {MONITORING},'


def init(directory: Path, *arguments: str) -> dict[str, list[str]]:
    """`countersign secrets init` in this process: another one would mostly start Python."""
    done = CliRunner().invoke(app, ["secrets", "init", str(directory), *arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    assert done.stderr.splitlines() == found["notes"]
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "secrets"
    init(directory)
    return directory


@pytest.fixture
def first(made: Path, tmp_path: Path) -> Path:
    """The secrets directory of an installation."""
    return shutil.copytree(made, tmp_path / "secrets")


async def works(installation: Installation, secrets: Path) -> None:
    """The hospital's users are there, with the permissions of this version."""
    admin = await installation.connect(secrets, "admin")
    assert await admin.jetstream.streams_info() == []
    await admin.close()
    ingest = await installation.connect(secrets, "ingest")
    await ingest.close()


@asynccontextmanager
async def serving(secrets: Path, *hospitals: Path) -> AsyncIterator[Installation]:
    """A server by this configuration, in which the users of these hospitals have been seen to work."""
    with running_by(secrets, secrets.with_name("running")) as installation:
        for hospital in hospitals:
            await works(installation, hospital)
        yield installation


def made_before(directory: Path) -> None:
    """Bring a secrets directory to the layout of version 0.2: one generated file for each server."""
    for file in directory.glob("*.generated.conf"):
        file.unlink()
    made = load_or_create(directory)
    for name, node in nodes().items():
        text = configuration(node, {ACCOUNT: Tenant(made)}, made.seeds["system"], made.storage_key)
        (directory / name).write_text(text)


async def test_an_installation_of_an_earlier_version_keeps_what_was_added(first: Path, tmp_path: Path) -> None:
    second = tmp_path / "hospital-b"
    second.mkdir(mode=0o700)
    (second / "ca.crt").write_bytes((first / "ca.crt").read_bytes())
    init(second, "--account", "HOSPITAL_B", "--storage-gb", "1")
    made_before(first)
    (first / "hospital-b.conf").write_bytes((second / "account.conf").read_bytes())
    before = (first / "nats.conf").read_text().replace('"accounts": {', OWN).replace("{", "{\n max_connections: 500", 1)
    (first / "nats.conf").write_text(before)
    assert accepted(on_this_machine(first, tmp_path / "before") / "nats.conf") == ""
    told = init(first)["notes"]
    assert [f"{first}/nats.conf: now includes the generated settings; the earlier file is nats.conf.bak."] == told
    assert (first / "nats.conf.bak").read_text().strip() == before
    assert (first / "nats.conf.bak").stat().st_mode & 0o077 == 0, "it has the storage key"
    upgraded = (first / "nats.conf").read_text()
    assert MONITORING in upgraded
    assert "nkey" not in upgraded
    for name in nodes():
        assert name == "nats.conf" or not (first / f"{name}.bak").exists(), "nobody had edited it"
    async with serving(first, first, second) as installation:
        assert http.get(f"{installation.monitor}/varz", timeout=5).json()["max_connections"] == 500
        assert "MONITORING" in http.get(f"{installation.monitor}/accountz", timeout=5).json()["accounts"]
    assert init(first)["notes"] == []
    assert (first / "nats.conf").read_text() == upgraded


def test_a_file_of_the_administrator_is_never_written(first: Path) -> None:
    own = (first / "nats.conf").read_text() + "\nmax_connections: 7 # mine"
    (first / "nats.conf").write_text(own)
    alone = 'port: 4222\ninclude "accounts.generated.conf"\n'
    (first / "nats-1.conf").write_text(alone)
    generated = (first / "accounts.generated.conf").read_bytes()
    (first / "accounts.generated.conf").write_text("stale")
    assert init(first)["notes"] == [f"{first}/nats-1.conf does not include nats-1.generated.conf."]
    assert (first / "nats.conf").read_text() == own
    assert (first / "nats-1.conf").read_text() == alone
    assert (first / "accounts.generated.conf").read_bytes() == generated


def test_a_run_that_was_killed_half_way_is_finished_by_the_next(first: Path) -> None:
    """The administrator's files are written before the generated ones: it may have died between any two."""
    made_before(first)
    # A file of an earlier version, whose users had fewer permissions, and one that was edited.
    earlier = (first / "nats-1.conf").read_text().replace('"alert.*.*"', '"alert.x"')
    assert '"alert.x"' in earlier
    (first / "nats-1.conf").write_text(earlier)
    edited = (first / "nats-2.conf").read_text().replace("{", "{\n max_connections: 500", 1)
    (first / "nats-2.conf").write_text(edited)
    init(first)
    assert (first / "nats-1.conf").read_text() == (first / "nats.conf").read_text().replace("nats.", "nats-1.")
    assert (first / "nats-1.conf.bak").read_text().strip() == earlier
    finished = {file.name: file.read_bytes() for file in first.glob("*.conf")}
    for name in ("nats-2.generated.conf", "nats-kubernetes.generated.conf", "accounts.generated.conf"):
        (first / name).unlink()
    assert init(first)["notes"] == []
    assert {file.name: file.read_bytes() for file in first.glob("*.conf")} == finished


@pytest.mark.parametrize("text", [b"authorization (\n x\n)\n", b"name: \xff"])
def test_a_file_that_cannot_be_read_is_left_alone_and_named(first: Path, text: bytes) -> None:
    made_before(first)
    (first / "nats-3.conf").write_bytes(text)
    before = {file.name: file.read_bytes() for file in first.glob("*.conf")}
    with pytest.raises(CommandError, match=r"nats-3\.conf contains settings of yours"):
        init(first)
    assert {file.name: file.read_bytes() for file in first.glob("*.conf")} == before


async def test_a_second_hospital_is_added_to_the_servers_by_one_command(first: Path, tmp_path: Path) -> None:
    second = tmp_path / "hospital-b"
    share = ("--account", "HOSPITAL_B", "--storage-gb", "1", "--servers", str(first))
    init(second, *share)
    assert (second / "ca.crt").read_bytes() == (first / "ca.crt").read_bytes()
    assert not (second / "ca.key").exists()
    accounts = (first / "accounts.generated.conf").read_bytes()
    init(first)
    assert (first / "accounts.generated.conf").read_bytes() == accounts, "it stays when the first is written again"
    (first / f"HOSPITAL_B{OTHER_ACCOUNT}").write_text("HOSPITAL_B: {}")  # of an earlier version, with fewer permissions
    init(second)
    assert (first / "accounts.generated.conf").read_bytes() == accounts, "it knows whose servers it uses"
    async with serving(first, first, second) as installation:
        accounts_there = http.get(f"{installation.monitor}/accountz", timeout=5).json()["accounts"]
        assert {ACCOUNT, "HOSPITAL_B", "SYS"} <= {*accounts_there}


def test_hospitals_that_cannot_share_servers_are_refused(first: Path, tmp_path: Path) -> None:
    second = tmp_path / "hospital-b"
    with pytest.raises(CommandError, match="is no secrets directory"):
        init(second, "--servers", str(tmp_path / "nowhere"))
    assert not second.exists()
    with pytest.raises(CommandError, match="account is COUNTERSIGN, too"):
        init(second, "--servers", str(first))
    with pytest.raises(CommandError, match="CA of its own"):
        init(first, "--servers", str(first))
    assert list(first.glob("*.account.conf")) == []
