"""The configuration of nats-server: who may what, every write synced and encrypted, one account a hospital.

https://docs.nats.io/running-a-nats-service/configuration
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.stack.secrets import Secrets, public_key
from shared.messaging.rights import (
    Permissions,
    auditor_permissions,
    backup_permissions,
    operator_permissions,
    permissions,
)
from shared.messaging.topology import SERVICES

KEY_VARIABLE = "COUNTERSIGN_STORAGE_KEY"
ACCOUNT = "COUNTERSIGN"

# The record of a long stay, as one artifact. NATS advises against more; without it a message is 1 MiB at most.
MAX_PAYLOAD = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Cluster:
    """Servers that keep streams together. `routes`: `nats://host:port` of all of them, `tls://` where they have it."""

    name: str
    listen: str  # host:port for the others
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM, as the server reaches them: its certificate and key, and the CA whose servers may be routes."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """What one hospital may take of the servers, so that it cannot take another's share. Storage in bytes; streams and
    consumers are those of the topology, and a few for whoever reads along.
    """

    storage: int
    streams: int = 32
    consumers: int = 200


@dataclass(frozen=True, slots=True)
class Tenant:
    """An account of its own: its users, its streams, its limits. Nothing goes from one to another."""

    secrets: Secrets
    limits: TenantLimits | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One server. `client` and `monitor`: host:port; `tags` are what streams are placed by (data residency).
    Without `tls` it speaks plain, which is for loopback.
    """

    name: str
    client: str
    monitor: str
    store: Path
    cluster: Cluster | None = None
    tags: tuple[str, ...] = ()
    tls: Tls | None = None


def configuration(node: Node, hospitals: Mapping[str, Tenant], system_seed: str, storage_key: str | None = None) -> str:
    """The server's configuration. The key of the encryption at rest comes from its environment.

    With `storage_key` it stands in the file, which is a secret then.
    """
    host, _, port = node.client.rpartition(":")
    made: dict[str, object] = {
        "server_name": node.name,
        "host": host,
        "port": int(port),
        "http": node.monitor,
        "max_payload": MAX_PAYLOAD,
        "jetstream": {
            "store_dir": str(node.store),
            "sync_interval": "always",
            "cipher": "aes",
            "key": storage_key or f"${KEY_VARIABLE}",
        },
        "accounts": {name: _account(hospital) for name, hospital in hospitals.items()}
        | {"SYS": {"users": [{"nkey": public_key(system_seed)}]}},
        "system_account": "SYS",
    }
    if node.tags:
        made["server_tags"] = list(node.tags)
    if node.tls is not None:
        # No word in plain, not even the first: clients cannot be told that there is no TLS here.
        made["tls"] = _tls_block(node.tls) | {"handshake_first": True}
    if node.cluster is not None:
        made["cluster"] = _cluster(node.cluster, node.tls)
    return re.sub(r'"(\$[A-Z_]+)"', r"\1", json.dumps(made, indent=1))  # a variable of the environment has no quotes


def _tls_block(tls: Tls) -> dict[str, object]:
    return {"cert_file": str(tls.certificate), "key_file": str(tls.key), "min_version": "1.3"}


def _cluster(cluster: Cluster, tls: Tls | None) -> dict[str, object]:
    made: dict[str, object] = {"name": cluster.name, "listen": cluster.listen, "routes": list(cluster.routes)}
    if tls is not None:
        made["tls"] = _tls_block(tls) | {"ca_file": str(tls.ca), "verify": True}
        # Clients would be told the others' addresses, which no certificate names, and nats-py would look for the name
        # of the server that told it. They have all the names in COUNTERSIGN_NATS_URL.
        made["no_advertise"] = True
    return made


def account_block(name: str, hospital: Tenant) -> str:
    """One more hospital, for `accounts { include account.conf }` of servers that are there already."""
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
    """The key of the encryption at rest, quoted: the server reads a bare one as a number where it looks like one."""
    return {KEY_VARIABLE: f'"{secrets.storage_key}"'}
