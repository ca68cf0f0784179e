"""`countersign secrets` and `countersign provision`: what an installation needs once, before its services start."""

import asyncio
import json
import os
import re
import secrets as randomness
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from cli.errors import CommandError
from cli.stack.access import write_private

if TYPE_CHECKING:
    from cli.stack.secrets import Secrets

secrets_app = typer.Typer(no_args_is_help=True, help="Make the keys and passwords of an installation.")

NODES = 3
ACCOUNT_NAME = r"[A-Z][A-Z0-9_]{0,39}"
MACHINES = ("ingest", "operator", "auditor")
CONTAINERS = 10001  # the group that ours run as
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
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout")] = False,
) -> None:
    """Make what is missing: keys of NATS users, tokens, the storage key, NATS's configuration. Keeps what is there.

    The directory is its owner's alone; the files in it are for whoever they are mounted for.
    """
    from cli.stack.secrets import load_or_make, write_tokens

    if account is not None and not re.fullmatch(ACCOUNT_NAME, account):
        raise CommandError("An account is named in capitals, digits and underscores: HOSPITAL_B.")
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if directory.stat().st_mode & 0o077:
            raise CommandError(f"{directory} is open to others. Close it first: chmod 700 {directory}")
        made = load_or_make(directory)
    except OSError as error:
        raise CommandError(f"{directory} cannot be used: {error.strerror}.") from None
    write_tokens(directory / "tokens.json", made.tokens)
    # Production does not start with tokens that sign as whoever owns the review: people sign in there.
    write_tokens(directory / "tokens-machines.json", {role: made.tokens[role] for role in MACHINES})
    for name, text in (_files(made, *_account(directory, account, storage)) | _passwords(directory)).items():
        write_private(directory / name, text)
    for file in directory.iterdir():
        _open_to_containers(file)
    names = sorted(file.name for file in directory.iterdir())
    print(json.dumps({"directory": str(directory), "files": names}) if as_json else "\n".join(names))


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
    if file.name == "secrets.json":
        return
    try:
        os.chown(file, -1, CONTAINERS)
        file.chmod(0o640)
    except PermissionError:
        file.chmod(0o644)


def _files(made: "Secrets", account: str, storage: int | None) -> dict[str, str]:
    """What follows from the secrets: written again each time, as rights may have changed."""
    from cli.stack.nats_config import Cluster, Hospital, Limits, Node, account_block, configuration

    routes = tuple(f"nats://nats-{index}:6222" for index in range(1, NODES + 1))
    alone = Node("nats", f"{ALL}:4222", f"{ALL}:8222", Path("/data"))
    nodes = {"nats.conf": alone} | {
        f"nats-{index}.conf": Node(
            f"nats-{index}",
            f"{ALL}:4222",
            f"{ALL}:8222",
            Path("/data"),
            Cluster("countersign", f"{ALL}:6222", routes),
        )
        for index in range(1, NODES + 1)
    }
    # On Kubernetes a pod's name comes from its environment, and its fellows are those of the StatefulSet.
    fellows = tuple(f"nats://nats-{index}.nats-headless:6222" for index in range(NODES))
    nodes["nats-kubernetes.conf"] = Node(
        "$POD_NAME", f"{ALL}:4222", f"{ALL}:8222", Path("/data"), Cluster("countersign", f"{ALL}:6222", fellows)
    )
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


def _passwords(directory: Path) -> dict[str, str]:
    """Those of other parts; made once."""
    found = {}
    for name in ("grafana.password", "qdrant.key", "qdrant-read.key"):
        file = directory / name
        found[name] = file.read_text().strip() if file.exists() else randomness.token_urlsafe(24)
    service = {"api_key": found["qdrant.key"], "read_only_api_key": found["qdrant-read.key"]}
    return found | {"qdrant.yaml": yaml.safe_dump({"service": service})}


def provision(
    url: Annotated[str, typer.Option("--nats-url", envvar="COUNTERSIGN_NATS_URL", help="several: with commas")],
    seed: Annotated[Path, typer.Option("--seed-file", envvar="COUNTERSIGN_NATS_SEED_FILE", help="of the admin")],
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
        bus = await connect(url, "admin", seed.read_text().strip())
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
