"""What a service in production does not start with. Pure: what is so is found out by `start.py`.

`COUNTERSIGN_MODE` is `production` unless it says `demo`: what nobody thought about must not be the unsafe choice.
"""

import ipaddress
import stat
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.messaging.monitor import Durability
from shared.runtime.access import Grant
from shared.runtime.settings import Allowed

SIGNING = ("physician", "supervisor")


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that holds a secret, and its permission bits."""

    setting: str
    path: str
    mode: int


@dataclass(frozen=True, slots=True)
class Facts:
    """How a service is about to be started."""

    host: str
    nats_url: str
    allowed: Allowed
    durability: Durability | None  # None: nobody could be asked
    issuer: str = ""  # of the identity provider
    public_url: str | None = None  # None: the service has no pages
    ehr_url: str | None = None  # None: it does not speak to the EHR
    grants: tuple[Grant, ...] = ()
    files: tuple[SecretFile, ...] = ()


def refusals(facts: Facts) -> list[str]:
    """Why the service does not start: one sentence each, with what to do. Empty: it may."""
    found = [_durability(facts), _bus(facts), _chart(facts), _sign_on(facts), _pages(facts), _stand_in(facts)]
    return [sentence for sentence in (*found, *map(_readable, facts.files)) if sentence is not None]


def _durability(facts: Facts) -> str | None:
    if facts.allowed.unsafe_durability:
        return None
    override = "COUNTERSIGN_ALLOW_UNSAFE_DURABILITY=true overrides this"
    if facts.durability is None:
        return (
            "it cannot be told whether NATS syncs every write: set COUNTERSIGN_NATS_MONITOR_URL to its monitoring "
            f"endpoint ({override})"
        )
    if not facts.durability.sync_always:
        return (
            "NATS acknowledges writes that a power cut may lose: set `sync_interval: always` in its `jetstream` block "
            f"({override})"
        )
    if facts.durability.single:
        return (
            f"{facts.durability.single[0]} and {len(facts.durability.single) - 1} other streams have one replica in a "
            f"cluster of {facts.durability.servers}: provision them with three ({override})"
        )
    return None


def _bus(facts: Facts) -> str | None:
    urls = [urlsplit(url.strip()) for url in facts.nats_url.split(",")]
    if all(url.scheme in ("tls", "wss") or _loopback(url.hostname) for url in urls) or facts.allowed.plain_nats:
        return None
    return (
        "the connection to NATS leaves this machine in plain: use tls:// in COUNTERSIGN_NATS_URL "
        "(COUNTERSIGN_ALLOW_PLAIN_NATS=true overrides this where a mesh encrypts it)"
    )


def _chart(facts: Facts) -> str | None:
    if facts.ehr_url is None or facts.allowed.plain_ehr:
        return None
    url = urlsplit(facts.ehr_url)
    if url.scheme == "https" or _loopback(url.hostname):
        return None
    return (
        "the connection to the EHR leaves this machine in plain: use https:// in COUNTERSIGN_EHR_URL "
        "(COUNTERSIGN_ALLOW_PLAIN_EHR=true overrides this where a mesh encrypts it)"
    )


def _sign_on(facts: Facts) -> str | None:
    if facts.issuer or _loopback(facts.host) or facts.allowed.static_tokens:
        return None
    return (
        "it listens beyond this machine with static tokens only: set COUNTERSIGN_OIDC_ISSUER "
        "(COUNTERSIGN_ALLOW_STATIC_TOKENS=true overrides this)"
    )


def _pages(facts: Facts) -> str | None:
    if facts.public_url is None or _loopback(facts.host) or urlsplit(facts.public_url).scheme == "https":
        return None
    return "it serves pages beyond this machine: set COUNTERSIGN_PUBLIC_URL to their https:// address"


def _stand_in(facts: Facts) -> str | None:
    """No override: such a token signs in anybody's name."""
    open_to = next((item for item in facts.grants if item.stands_in and set(item.roles) & set(SIGNING)), None)
    if open_to is None:
        return None
    return (
        f"the token of {open_to.subject} in the tokens file signs as whoever owns the review: give it a `practitioner` "
        "or take it out"
    )


def _readable(file: SecretFile) -> str | None:
    if not file.mode & stat.S_IRWXO:
        return None
    return f"{file.path} ({file.setting}) is open to every user of this machine: chmod o= it"


def _loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
