"""`countersign secrets`: create the keys, tokens and certificates of an installation."""

import json
import os
import re
import secrets as randomness
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from cli.errors import CommandError
from cli.options import AsJson
from cli.output import emit
from cli.stack.access import write_private

if TYPE_CHECKING:
    from cli.stack.nats_config import Tenant
    from cli.stack.secrets import Secrets

app = typer.Typer(no_args_is_help=True, help="Create the keys and passwords of an installation.")

ACCOUNT_NAME = r"[A-Z][A-Z0-9_]{0,39}"
MACHINE_ROLES = ("ingest", "operator", "auditor")
CONTAINER_GROUP = 10001  # the group that ours run as
ACCOUNT_FILE = "account.json"
CHECKPOINT_KEY = "checkpoint.key"
OWNER_ONLY_FILES = ("secrets.json", "ca.key")


@app.command("init")
def init(
    directory: Annotated[Path, typer.Argument(help="directory for them; created if missing")],
    account: Annotated[
        str | None, typer.Option(help="NATS account of the hospital, if it shares servers with others")
    ] = None,
    storage: Annotated[
        int | None,
        typer.Option("--storage-gb", min=1, help="disk space that the account may use; default: no limit"),
    ] = None,
    servers: Annotated[
        Path | None,
        typer.Option(
            "--servers",
            help="secrets directory of the installation whose NATS servers the hospital shares: its CA is used, and "
            "the account is added to its NATS configuration",
        ),
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option("--nats-host", help="additional host name or address of the NATS servers; repeatable"),
    ] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", help="Kubernetes namespace of NATS, for its host names")
    ] = "countersign",
    rotate_ehr_keys: Annotated[
        bool,
        typer.Option("--rotate-ehr-keys", help="add new keys of our client at the EHR; they sign after ten minutes"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Create what is missing: NATS keys, API tokens, the storage key, NATS configuration and certificate, the key that
    signs checkpoints, and the keys of our client at the EHR.

    Existing secrets are kept. A certificate that expires within half a year is renewed. nats*.conf are created once and
    include generated files, which are written again each time. Only its owner can open the directory; its files are
    readable for the containers that mount them.
    """
    from cli.stack.ehr_client import client_key_files
    from cli.stack.secrets import write_tokens

    if account is not None and not re.fullmatch(ACCOUNT_NAME, account):
        raise CommandError("An account name is in capitals, digits and underscores, such as HOSPITAL_B.")
    servers = servers or _saved_servers(directory)
    if servers is not None:
        _use_authority(directory, servers)
    made = _ensure_secrets(directory, nats_host_names(namespace) + (hosts or []))
    write_tokens(directory / "tokens.json", made.tokens)
    # Production refuses tokens that sign as the owner of any review: there, people sign in.
    write_tokens(directory / "tokens-machines.json", {role: made.tokens[role] for role in MACHINE_ROLES})
    name, hospital = _hospital(directory, made, account, storage)
    notes = _write_nats_files(directory, made, {name: hospital})
    if servers is not None:
        notes += _share_servers(servers, name, hospital)
        _save_account(directory, servers=str(servers.resolve()))
    texts = (
        _secret_files(made, name, hospital)
        | _passwords(directory)
        | _checkpoint_key(directory)
        | client_key_files(directory, int(datetime.now(UTC).timestamp()), rotate=rotate_ehr_keys)
    )
    for file, text in texts.items():
        write_private(directory / file, text)
    _grant_to_containers(directory)
    for note in notes:
        typer.echo(note, err=True)
    names = sorted(file.name for file in directory.iterdir())
    emit({"directory": str(directory), "files": names, "notes": notes}, as_json, "\n".join(names))


def _use_authority(directory: Path, servers: Path) -> None:
    """Copy the CA of the NATS servers, which belong to the installation in `servers`."""
    from cli.stack.certificates import CA, CA_KEY

    if not (servers / "secrets.json").exists():
        raise CommandError(f"{servers} is no secrets directory. Create it with: countersign secrets init {servers}")
    if (directory / CA_KEY).exists():
        raise CommandError(f"{directory} has a CA of its own, for servers of its own. Use another directory.")
    if directory.resolve() == servers.resolve():
        raise CommandError("--servers names another directory: the one of the installation that has the servers.")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(directory / CA, (servers / CA).read_text().rstrip("\n"))


def _share_servers(servers: Path, name: str, hospital: "Tenant") -> list[str]:
    """Add the account of another hospital to the NATS configuration of the installation in `servers`."""
    from cli.stack.nats_config import account_block
    from cli.stack.nats_files import OTHER_ACCOUNT
    from cli.stack.secrets import load_or_create

    made = load_or_create(servers)
    own, first = _hospital(servers, made)
    if own == name:
        raise CommandError(f"The first hospital's account is {own}, too. Name another with --account.")
    write_private(servers / f"{name}{OTHER_ACCOUNT}", account_block(name, hospital).rstrip("\n"))
    notes = _write_nats_files(servers, made, {own: first})
    _grant_to_containers(servers)
    return notes


def _write_nats_files(directory: Path, made: "Secrets", hospitals: "dict[str, Tenant]") -> list[str]:
    from cli.stack.nats_config import accounts
    from cli.stack.nats_files import write_nats_files

    return write_nats_files(directory, accounts(hospitals, made.seeds["system"]), made.storage_key)


def _ensure_secrets(directory: Path, hosts: list[str]) -> "Secrets":
    """Create the directory, the secrets and the certificates for `hosts`, as far as they are missing."""
    from cli.stack.certificates import ensure_certificates
    from cli.stack.secrets import load_or_create

    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if directory.stat().st_mode & 0o077:
            raise CommandError(f"Other users can read {directory}. Run: chmod 700 {directory}")
        made = load_or_create(directory)
        ensure_certificates(directory, hosts, datetime.now(UTC))
    except OSError as error:
        raise CommandError(f"{directory} cannot be used: {error.strerror}.") from None
    return made


def nats_host_names(namespace: str) -> list[str]:
    """Return the host names of the NATS servers in compose.yaml, on Kubernetes and on this machine."""
    from cli.stack.nats_files import SERVERS

    inside = ["nats", "nats-headless", *(f"nats-{index}.nats-headless" for index in range(SERVERS))]
    suffixes = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    here = ["localhost", "127.0.0.1", "::1"]
    return here + [f"nats-{index}" for index in range(1, SERVERS + 1)] + [a + b for a in inside for b in suffixes]


def _hospital(
    directory: Path, made: "Secrets", name: str | None = None, storage: int | None = None
) -> "tuple[str, Tenant]":
    """Return the name of the account and the hospital. Name and storage (GiB) are the given values, else the saved
    ones; saves them.
    """
    from cli.stack.nats_config import ACCOUNT, Tenant, TenantLimits

    known = _saved_account(directory)
    name, storage = name or known.get("name", ACCOUNT), storage or known.get("storage_gb")
    _save_account(directory, name=name, storage_gb=storage)
    return name, Tenant(made, TenantLimits(storage * 2**30) if storage else None)


def _saved_account(directory: Path) -> dict[str, Any]:
    """Return the options of earlier runs for the account; empty before the first."""
    kept = directory / ACCOUNT_FILE
    found: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    return found


def _save_account(directory: Path, **settings: Any) -> None:
    write_private(directory / ACCOUNT_FILE, json.dumps(_saved_account(directory) | settings))


def _saved_servers(directory: Path) -> Path | None:
    """Return the directory that an earlier run was given by --servers: the account there changes with ours."""
    saved = _saved_account(directory).get("servers")
    return Path(saved) if saved else None


def _grant_to_containers(directory: Path) -> None:
    """Let the containers' group read the files, as mounted files keep their mode.

    Without the right to change the group, a file is readable for all who can open the directory: its owner.
    """
    for file in directory.iterdir():
        if file.name in OWNER_ONLY_FILES or file.suffix == ".bak":  # copies of NATS files, which no container mounts
            continue
        try:
            os.chown(file, -1, CONTAINER_GROUP)
            file.chmod(0o640)
        except PermissionError:
            file.chmod(0o644)


def _secret_files(made: "Secrets", account: str, hospital: "Tenant") -> dict[str, str]:
    """Return the files derived from the secrets; they are rewritten each time, as permissions may have changed."""
    from cli.stack.nats_config import account_block

    return (
        {"account.conf": account_block(account, hospital)}
        | {f"{user}.seed": seed for user, seed in made.seeds.items()}
        | {f"{role}.token": made.tokens[role] for role in ("ingest", "operator")}  # of the demo, and for a first case
    )


def _passwords(directory: Path) -> dict[str, str]:
    """Return the passwords of Grafana and Qdrant; created once."""
    found = {}
    for name in ("grafana.password", "qdrant.key", "qdrant-read.key"):
        file = directory / name
        found[name] = file.read_text().strip() if file.exists() else randomness.token_urlsafe(24)
    service = {"api_key": found["qdrant.key"], "read_only_api_key": found["qdrant-read.key"]}
    return found | {"qdrant.yaml": yaml.safe_dump({"service": service})}


def _checkpoint_key(directory: Path) -> dict[str, str]:
    """Return the key that signs checkpoints, and its public key for auditors; created once.

    Raises CommandError when the file holds another kind of key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    from shared.contracts.errors import PermanentError
    from shared.messaging.checkpoints import signing_key

    file = directory / CHECKPOINT_KEY
    try:
        key = signing_key(file) if file.exists() else Ed25519PrivateKey.generate()
    except PermanentError as error:
        raise CommandError(f"{error.reason[0].upper()}{error.reason[1:]}.") from None
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {CHECKPOINT_KEY: private, "checkpoint.pub": public}
