"""`countersign secrets` and `countersign provision`: what an installation needs once, before its services start."""

import asyncio
import json
import os
import re
import secrets as randomness
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from cli.errors import CommandError
from cli.stack.access import write_private

if TYPE_CHECKING:
    from cli.stack.nats_config import Node
    from cli.stack.secrets import Secrets

secrets_app = typer.Typer(no_args_is_help=True, help="Make the keys and passwords of an installation.")

NODES = 3
ACCOUNT_NAME = r"[A-Z][A-Z0-9_]{0,39}"
MACHINES = ("ingest", "operator", "auditor")
CONTAINERS = 10001  # the group that ours run as
MOUNTED = Path("/run/secrets")  # where NATS finds its certificate, in compose.yaml and on Kubernetes
CHECKPOINT_KEY = "checkpoint.key"
OWNERS_ONLY = ("secrets.json", "ca.key")
ALL = "0.0.0.0"  # noqa: S104 - inside a container; who reaches it is for the network to say


@secrets_app.command("init")
def init(
    directory: Annotated[Path, typer.Argument(help="where they are kept; made if it is not there")],
    account: Annotated[
        str | None, typer.Option(help="the hospital's account on NATS, where it shares servers with others")
    ] = None,
    storage: Annotated[
        int | None,
        typer.Option("--storage-gb", min=1, help="what the account may take of the servers' disks; no limit"),
    ] = None,
    hosts: Annotated[
        list[str] | None,
        typer.Option("--nats-host", help="one more name or address of the NATS servers; may be repeated"),
    ] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", help="of NATS on Kubernetes, for its names there")
    ] = "countersign",
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout")] = False,
) -> None:
    """Make what is missing: keys of NATS users, tokens, the storage key, NATS's configuration and certificate, and the
    key that signs checkpoints of the trail.

    Keeps what is there; a certificate that ends within half a year is renewed. The directory is its owner's alone; the
    files in it are for whoever they are mounted for.
    """
    from cli.stack.certificates import keep
    from cli.stack.secrets import load_or_make, write_tokens

    if account is not None and not re.fullmatch(ACCOUNT_NAME, account):
        raise CommandError("An account is named in capitals, digits and underscores: HOSPITAL_B.")
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if directory.stat().st_mode & 0o077:
            raise CommandError(f"{directory} is open to others. Close it first: chmod 700 {directory}")
        made = load_or_make(directory)
        keep(directory, nats_names(namespace) + (hosts or []), datetime.now(UTC))
    except OSError as error:
        raise CommandError(f"{directory} cannot be used: {error.strerror}.") from None
    write_tokens(directory / "tokens.json", made.tokens)
    # Production does not start with tokens that sign as whoever owns the review: people sign in there.
    write_tokens(directory / "tokens-machines.json", {role: made.tokens[role] for role in MACHINES})
    texts = _files(made, *_account(directory, account, storage)) | _passwords(directory) | _checkpoint_key(directory)
    for name, text in texts.items():
        write_private(directory / name, text)
    for file in directory.iterdir():
        _open_to_containers(file)
    names = sorted(file.name for file in directory.iterdir())
    print(json.dumps({"directory": str(directory), "files": names}) if as_json else "\n".join(names))


def nats_names(namespace: str) -> list[str]:
    """What the NATS servers are called: in compose.yaml, on Kubernetes as pods and services, on this machine."""
    inside = ["nats", "nats-headless", *(f"nats-{index}.nats-headless" for index in range(NODES))]
    suffixes = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    here = ["localhost", "127.0.0.1", "::1"]
    return here + [f"nats-{index}" for index in range(1, NODES + 1)] + [a + b for a in inside for b in suffixes]


def _account(directory: Path, name: str | None, storage: int | None) -> tuple[str, int | None]:
    """Name and room (GiB) of the account: as told, else as told the last time."""
    from cli.stack.nats_config import ACCOUNT

    kept = directory / "account.json"
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {"name": ACCOUNT, "storage_gb": None}
    name, storage = name or known["name"], storage or known["storage_gb"]
    write_private(kept, json.dumps({"name": name, "storage_gb": storage}))
    return name, storage


def _open_to_containers(file: Path) -> None:
    """Mounted files keep their mode: the containers' group may read them where we may say so, else everybody who gets
    through the directory, which is nobody but its owner.
    """
    if file.name in OWNERS_ONLY:
        return
    try:
        os.chown(file, -1, CONTAINERS)
        file.chmod(0o640)
    except PermissionError:
        file.chmod(0o644)


def _files(made: "Secrets", account: str, storage: int | None) -> dict[str, str]:
    """What follows from the secrets: written again each time, as rights may have changed."""
    from cli.stack.nats_config import Hospital, Limits, account_block, configuration

    nodes = _nodes()
    hospital = Hospital(made, Limits(storage * 2**30) if storage else None)
    return (
        {
            name: configuration(node, {account: hospital}, made.seeds["system"], made.storage_key)
            for name, node in nodes.items()
        }
        | {"account.conf": account_block(account, hospital)}
        | {f"{user}.seed": seed for user, seed in made.seeds.items()}
        | {f"{role}.token": made.tokens[role] for role in ("ingest", "operator")}  # of the demo, and for a first case
    )


def _nodes() -> "dict[str, Node]":
    """The servers of every way to install, by the file that configures each."""
    from cli.stack.certificates import CA, CERTIFICATE, KEY
    from cli.stack.nats_config import Cluster, Node, Tls

    tls = Tls(MOUNTED / CERTIFICATE, MOUNTED / KEY, MOUNTED / CA)

    def node(name: str, *others: str) -> Node:
        routes = tuple(f"tls://{other}:6222" for other in others)
        cluster = Cluster("countersign", f"{ALL}:6222", routes) if others else None
        return Node(name, f"{ALL}:4222", f"{ALL}:8222", Path("/data"), cluster, tls=tls)

    names = [f"nats-{index}" for index in range(1, NODES + 1)]
    # On Kubernetes a pod's name comes from its environment, and its fellows are those of the StatefulSet.
    fellows = [f"nats-{index}.nats-headless" for index in range(NODES)]
    return (
        {"nats.conf": node("nats")}
        | {f"{name}.conf": node(name, *names) for name in names}
        | {"nats-kubernetes.conf": node("$POD_NAME", *fellows)}
    )


def _passwords(directory: Path) -> dict[str, str]:
    """Those of other parts; made once."""
    found = {}
    for name in ("grafana.password", "qdrant.key", "qdrant-read.key"):
        file = directory / name
        found[name] = file.read_text().strip() if file.exists() else randomness.token_urlsafe(24)
    service = {"api_key": found["qdrant.key"], "read_only_api_key": found["qdrant-read.key"]}
    return found | {"qdrant.yaml": yaml.safe_dump({"service": service})}


def _checkpoint_key(directory: Path) -> dict[str, str]:
    """What signs the checkpoints of the trail, and its public half, by which auditors verify them; made once.

    Raises CommandError where the file holds another kind of key.
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


def provision(
    url: Annotated[str, typer.Option("--nats-url", envvar="COUNTERSIGN_NATS_URL", help="several: with commas")],
    seed: Annotated[Path, typer.Option("--seed-file", envvar="COUNTERSIGN_NATS_SEED_FILE", help="of the admin")],
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--nats-ca-file", envvar="COUNTERSIGN_NATS_CA_FILE", help="of a tls:// url; else the system's CAs"
        ),
    ] = None,
    replicas: Annotated[int, typer.Option(envvar="COUNTERSIGN_NATS_REPLICAS", help="how often a message is kept")] = 1,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            envvar="COUNTERSIGN_NATS_PLACEMENT",
            help="servers must carry it (data residency): region:eu for all, DISCHARGE=storage:worm for one besides, "
            "KNOWLEDGE=* for one anywhere; may be repeated, and is all that holds then",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout")] = False,
) -> None:
    """Make streams, buckets and consumers as this version wants them, and say what differed. Deletes nothing."""
    from shared.messaging.connection import connect
    from shared.messaging.placement import read_placement
    from shared.messaging.provision import Change, Keeping
    from shared.messaging.provision import provision as make

    async def run() -> list[Change]:
        bus = await connect(url, "admin", seed.read_text().strip(), ca_file=ca_file)
        try:
            return await make(bus, keeping)
        finally:
            await bus.close()

    if not seed.is_file():
        raise CommandError(f"{seed} is not there. Make it: countersign secrets init")
    try:
        keeping = Keeping(replicas, read_placement(",".join(tags or ())))
    except ValueError as error:
        raise CommandError(f"--tag (COUNTERSIGN_NATS_PLACEMENT): {error}.") from None
    changes = asyncio.run(run())
    if as_json:
        print(json.dumps([asdict(change) for change in changes]))
        return
    for change in changes:
        print(f"{change.action:10}{change.what}{': ' + ', '.join(change.differs) if change.differs else ''}")
