"""The NATS configuration of an installation: files of the administrator, and generated files that they include.

`nats.conf` is created once and belongs to the administrator. It includes `nats.generated.conf` (the server) and, in its
accounts, `accounts.generated.conf`; both are written again by each `countersign secrets init`. nats-server resolves
`include` relative to the including file, and a later setting replaces an earlier one of the same name.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from cli.errors import CommandError
from cli.stack.access import write_private
from cli.stack.certificates import CA, CERTIFICATE, KEY
from cli.stack.nats_config import Cluster, Node, Tls, render, server_settings
from cli.stack.nats_separation import separate
from cli.stack.nats_syntax import INCLUDE, UnreadableConfigurationError, settings, text_of

SERVERS = 3
SECRETS_MOUNT = Path("/run/secrets")  # where NATS finds its certificate, in compose.yaml and on Kubernetes
ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - inside a container; who reaches it is for the network to say
ACCOUNTS = "accounts.generated.conf"
OTHER_ACCOUNT = ".account.conf"  # ends the names of files with accounts of further hospitals
BACKUP = ".bak"
HEADER = "# `countersign secrets init` writes this file again with each run. Put your own settings into {}.\n"
OWN_FILE = """\
# Configuration of a NATS server. This file is yours: `countersign secrets init` creates it once and does not change it.
# It writes the included files again with each run. A setting below an include replaces the one of the same name in it.
include "{server}"

accounts {{
  include "{accounts}"
  # Hospitals on the same servers, by paths relative to this file (docs/how-to/add-a-hospital.md):
  # include "hospital-b.conf"
}}
"""


def generated_name(own: str) -> str:
    """Return the name of the generated file that `own` includes: `nats.generated.conf` for `nats.conf`."""
    return f"{Path(own).stem}.generated.conf"


def nodes() -> dict[str, Node]:
    """Return the NATS servers of every kind of installation, by the name of their configuration file."""
    tls = Tls(SECRETS_MOUNT / CERTIFICATE, SECRETS_MOUNT / KEY, SECRETS_MOUNT / CA)

    def node(name: str, *others: str) -> Node:
        routes = tuple(f"tls://{other}:6222" for other in others)
        cluster = Cluster("countersign", f"{ALL_INTERFACES}:6222", routes) if others else None
        return Node(name, f"{ALL_INTERFACES}:4222", f"{ALL_INTERFACES}:8222", Path("/data"), cluster, tls=tls)

    names = [f"nats-{index}" for index in range(1, SERVERS + 1)]
    # On Kubernetes a pod's name comes from its environment, and its fellows are those of the StatefulSet.
    fellows = [f"nats-{index}.nats-headless" for index in range(SERVERS)]
    return (
        {"nats.conf": node("nats")}
        | {f"{name}.conf": node(name, *names) for name in names}
        | {"nats-kubernetes.conf": node("$POD_NAME", *fellows)}
    )


def write_nats_files(directory: Path, accounts: Mapping[str, object], storage_key: str) -> list[str]:
    """Write the generated files, and the administrator's where they are missing.

    A file of an earlier version, which generated settings and own ones shared, is separated once; a copy with the
    suffix `.bak` is kept if it had been edited. Returns what the administrator should know, as sentences. Raises
    CommandError, with no file changed, when such a file cannot be read.
    """
    servers = {name: server_settings(node, storage_key) for name, node in nodes().items()}
    own, copies, notes = _own_files(directory, servers, accounts)
    # The administrator's files first: as long as a generated file is missing, the next run separates again.
    for name, text in (copies | own).items():
        write_private(directory / name, text.rstrip("\n"))
    write_private(directory / ACCOUNTS, _accounts_text(directory, accounts))
    for name, made in servers.items():
        write_private(directory / generated_name(name), HEADER.format(name) + render(made))
    return notes


def _own_files(
    directory: Path, servers: Mapping[str, Mapping[str, object]], accounts: Mapping[str, object]
) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Return the administrator's files to write, copies of those that are separated, and notes."""
    own: dict[str, str] = {}
    copies: dict[str, str] = {}
    notes: list[str] = []
    for name, made in servers.items():
        file, includes = directory / name, (generated_name(name), ACCOUNTS)
        if not file.exists():
            own[name] = OWN_FILE.format(server=includes[0], accounts=includes[1])
            continue
        text = _read(file)
        # Once there are generated files, this one is never written again, whatever it includes.
        if (directory / includes[0]).exists() or _included(text) >= set(includes):
            notes += [f"{file} does not include {item}." for item in includes if item not in _included(text, includes)]
            continue
        try:
            separated = separate(text, made, accounts, includes)
        except UnreadableConfigurationError:
            raise _unreadable(file) from None
        own[name] = separated.text or OWN_FILE.format(server=includes[0], accounts=includes[1])
        notes += [f"{file}: {note}" for note in separated.notes]
        if separated.text or separated.notes:
            copies[name + BACKUP] = text
            notes.append(f"{file}: now includes the generated settings; the earlier file is {name}{BACKUP}.")
    return own, copies, notes


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")  # as NATS requires it
    except (OSError, UnicodeDecodeError):
        raise _unreadable(file) from None


def _unreadable(file: Path) -> CommandError:
    return CommandError(
        f"{file} contains settings of yours and cannot be read. Move it away, run the command again, and add your "
        "settings to the new file."
    )


def _included(text: str, otherwise: Iterable[str] = ()) -> set[str]:
    """Return the names of the files that a configuration includes; `otherwise` if it cannot be read."""
    try:
        found = settings(text)
    except UnreadableConfigurationError:
        return set(otherwise)
    inner = [item for setting in found for item in setting.inner or ()]
    return {text_of(text, item) for item in (*found, *inner) if item.key == INCLUDE}


def _accounts_text(directory: Path, accounts: Mapping[str, object]) -> str:
    blocks = [f"{name}: {json.dumps(account, indent=1)}" for name, account in accounts.items()]
    others = [file.read_text().strip() for file in sorted(directory.glob("*" + OTHER_ACCOUNT))]
    return HEADER.format("nats.conf") + "\n".join(blocks + others)
