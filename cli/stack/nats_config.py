"""The configuration of nats-server: permissions, synced and encrypted writes, one account per tenant (hospital).

https://docs.nats.io/running-a-nats-service/configuration
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.stack.secrets import Secrets, public_key
from shared.messaging.permissions import (
    Permissions,
    auditor_permissions,
    backup_permissions,
    operator_permissions,
    permissions,
)
from shared.messaging.topology import SERVICES
from shared.runtime.checks.nats_server import MAX_PAYLOAD

KEY_VARIABLE = "COUNTERSIGN_STORAGE_KEY"
ACCOUNT = "COUNTERSIGN"
SYSTEM_ACCOUNT = "SYS"

SYNC_ALWAYS = "always"
# nats-server 2.15 syncs each message of a restore with `always`, and breaks the restore off when its disk takes more
# than five seconds for what it decompresses at once (1 MiB: some thousand small messages).
SYNC_FOR_RESTORE = "2m"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster of servers. `routes`: `nats://host:port` or `tls://host:port` of all of them."""

    name: str
    listen: str  # host:port for the others
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files, by their paths for the server: its certificate and key, and the CA of the other servers."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """Limits of a tenant, so that it cannot use up the share of another. Storage in bytes; streams and consumers are
    those of the topology, and some for other readers.
    """

    storage: int
    streams: int = 32
    consumers: int = 200


@dataclass(frozen=True, slots=True)
class Tenant:
    """A hospital with a NATS account of its own: users, streams and limits. Accounts are isolated from each other."""

    secrets: Secrets
    limits: TenantLimits | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One server. `client` and `monitor`: host:port; `tags` are what streams are placed by (data residency).
    Without `tls` it listens unencrypted, which is for loopback only. `sync_interval`: how often writes are synced to
    disk; only a server that is restored into may be without `always`.
    """

    name: str
    client: str
    monitor: str
    store: Path
    cluster: Cluster | None = None
    tags: tuple[str, ...] = ()
    tls: Tls | None = None
    sync_interval: str = SYNC_ALWAYS


def configuration(node: Node, hospitals: Mapping[str, Tenant], system_seed: str, storage_key: str | None = None) -> str:
    """Return the configuration of a server. The key of the encryption at rest comes from its environment.

    With `storage_key`, the key is in the file, which must be kept secret then.
    """
    return render(server_settings(node, storage_key) | {"accounts": accounts(hospitals, system_seed)})


def server_settings(node: Node, storage_key: str | None = None) -> dict[str, object]:
    """Return the settings of a server except its accounts."""
    host, _, port = node.client.rpartition(":")
    made: dict[str, object] = {
        "server_name": node.name,
        "host": host,
        "port": int(port),
        "http": node.monitor,
        "max_payload": MAX_PAYLOAD,
        "jetstream": {
            "store_dir": str(node.store),
            "sync_interval": node.sync_interval,
            "cipher": "aes",
            "key": storage_key or f"${KEY_VARIABLE}",
        },
        "system_account": SYSTEM_ACCOUNT,
    }
    if node.tags:
        made["server_tags"] = list(node.tags)
    if node.tls is not None:
        # TLS before the first protocol message, so that clients cannot be downgraded.
        made["tls"] = _tls_block(node.tls) | {"handshake_first": True}
    if node.cluster is not None:
        made["cluster"] = _cluster(node.cluster, node.tls)
    return made


def accounts(hospitals: Mapping[str, Tenant], system_seed: str) -> dict[str, object]:
    """Return the accounts of the hospitals and the system account, by name."""
    system = {"users": [{"nkey": public_key(system_seed)}]}
    return {name: _account(hospital) for name, hospital in hospitals.items()} | {SYSTEM_ACCOUNT: system}


def render(made: Mapping[str, object]) -> str:
    """Return settings as the text of a configuration file. Values that are environment variables have no quotes."""
    return re.sub(r'"(\$[A-Z_]+)"', r"\1", json.dumps(made, indent=1))


def _tls_block(tls: Tls) -> dict[str, object]:
    return {"cert_file": str(tls.certificate), "key_file": str(tls.key), "min_version": "1.3"}


def _cluster(cluster: Cluster, tls: Tls | None) -> dict[str, object]:
    made: dict[str, object] = {"name": cluster.name, "listen": cluster.listen, "routes": list(cluster.routes)}
    if tls is not None:
        made["tls"] = _tls_block(tls) | {"ca_file": str(tls.ca), "verify": True}
        # Advertised addresses are not in the certificates. Clients have all host names in COUNTERSIGN_NATS_URL.
        made["no_advertise"] = True
    return made


def account_block(name: str, hospital: Tenant) -> str:
    """Return the block of one more tenant, for `accounts { include account.conf }` of existing servers."""
    return f"{name}: {json.dumps(_account(hospital), indent=1)}\n"


def _account(hospital: Tenant) -> dict[str, object]:
    rights = {service: permissions(service) for service in SERVICES}
    rights |= {"operator": operator_permissions(), "auditor": auditor_permissions(), "backup": backup_permissions()}
    users = [_user(hospital.secrets.seeds[name], right) for name, right in rights.items()]
    users.append({"nkey": public_key(hospital.secrets.seeds["admin"])})
    limits = hospital.limits
    storage: object = "enabled"
    if limits is not None:
        storage = {
            "max_mem": 0,
            "max_file": limits.storage,
            "max_streams": limits.streams,
            "max_consumers": limits.consumers,
        }
    return {"jetstream": storage, "users": users}


def _user(seed: str, rights: Permissions) -> dict[str, object]:
    return {
        "nkey": public_key(seed),
        "permissions": {
            "publish": {"allow": list(rights.publish)},
            "subscribe": {"allow": list(rights.subscribe)},
        },
    }


def key_environment(secrets: Secrets) -> dict[str, str]:
    """Return the encryption key for the server's environment, quoted, as the server may read a bare one as a number."""
    return {KEY_VARIABLE: f'"{secrets.storage_key}"'}
