"""Check that a service in production starts with safe settings. Pure: `deployment_facts.py` gathers the facts.

`COUNTERSIGN_MODE` is `production` unless set to `demo`, so that the default is the safe choice.
"""

import ipaddress
import stat
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.messaging.server_status import ServerStatus
from shared.runtime.authentication import ApiToken
from shared.runtime.settings import ProductionOverrides

SIGNING_ROLES = ("physician", "supervisor")


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file with a secret, and its permission bits."""

    setting: str
    path: str
    mode: int


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """An endpoint that drafts, as it is declared. `remote`: it may be outside of the hospital."""

    name: str
    host: str
    remote: bool
    encrypted: bool
    region: str | None = None
    agreement: str | None = None


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """The configuration that the checks need."""

    host: str
    nats_url: str
    allowed: ProductionOverrides
    durability: ServerStatus | None  # None: nobody could be asked
    issuer: str = ""  # of the identity provider
    public_url: str | None = None  # None: the service has no pages
    ehr_url: str | None = None  # None: it does not use the EHR
    ehr_token_url: str = ""  # empty: discovered, and checked then
    launch_issuer: str = ""  # FHIR base of the EHR that opens our pages; empty: none does
    plain_hl7_host: str | None = None  # where HL7v2 is received without TLS; None: nowhere
    plain_mdm_host: str | None = None  # where HL7v2 is sent to without TLS; None: nowhere
    prometheus_url: str = ""  # of the Prometheus that is sent a token; empty: none is
    grants: tuple[ApiToken, ...] = ()
    files: tuple[SecretFile, ...] = ()
    endpoints: tuple[EndpointFacts, ...] = ()


def preflight_errors(facts: DeploymentFacts) -> list[str]:
    """Return why the service must not start: one sentence each, with what to do. Empty when it may."""
    found = [
        _check_durability(facts),
        _check_nats(facts),
        _check_ehr(facts),
        _check_hl7(facts),
        _check_mdm(facts),
        _check_prometheus(facts),
        _check_sign_in(facts),
        _check_public_url(facts),
        _check_token_identity(facts),
    ]
    found += [*map(_check_endpoint, facts.endpoints), *map(is_open_to_others, facts.files)]
    return [sentence for sentence in found if sentence is not None]


def _check_durability(facts: DeploymentFacts) -> str | None:
    if facts.allowed.unsafe_durability:
        return None
    override = "COUNTERSIGN_ALLOW_UNSAFE_DURABILITY=true overrides this"
    if facts.durability is None:
        return (
            "it is unknown whether NATS syncs every write: set COUNTERSIGN_NATS_MONITOR_URL to its monitoring "
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


def _check_nats(facts: DeploymentFacts) -> str | None:
    urls = [urlsplit(url.strip()) for url in facts.nats_url.split(",")]
    if all(url.scheme in ("tls", "wss") or _is_loopback(url.hostname) for url in urls) or facts.allowed.plain_nats:
        return None
    return (
        "the connection to NATS leaves this machine in plain: use tls:// in COUNTERSIGN_NATS_URL "
        "(COUNTERSIGN_ALLOW_PLAIN_NATS=true overrides this where a mesh encrypts it)"
    )


def _check_ehr(facts: DeploymentFacts) -> str | None:
    if facts.ehr_url is None or facts.allowed.plain_ehr:
        return None
    for variable, address in (
        ("COUNTERSIGN_EHR_URL", facts.ehr_url),
        ("COUNTERSIGN_EHR_TOKEN_URL", facts.ehr_token_url),
        ("COUNTERSIGN_LAUNCH_ISSUER", facts.launch_issuer),
    ):
        url = urlsplit(address)
        if address and url.scheme != "https" and not _is_loopback(url.hostname):
            return (
                f"the connection to the EHR leaves this machine in plain: use https:// in {variable} "
                "(COUNTERSIGN_ALLOW_PLAIN_EHR=true overrides this where a mesh encrypts it)"
            )
    return None


def _check_hl7(facts: DeploymentFacts) -> str | None:
    if facts.plain_hl7_host is None or _is_loopback(facts.plain_hl7_host) or facts.allowed.plain_hl7:
        return None
    return (
        "HL7v2 would arrive from other machines in plain: set COUNTERSIGN_HL7_CERTIFICATE_FILE, or listen on loopback "
        "(COUNTERSIGN_ALLOW_PLAIN_HL7=true overrides this where a mesh encrypts it)"
    )


def _check_mdm(facts: DeploymentFacts) -> str | None:
    if facts.plain_mdm_host is None or _is_loopback(facts.plain_mdm_host) or facts.allowed.plain_hl7:
        return None
    return (
        "documents would leave this machine by HL7v2 in plain: set COUNTERSIGN_MDM_CA_FILE, or send to loopback "
        "(COUNTERSIGN_ALLOW_PLAIN_HL7=true overrides this where a mesh encrypts it)"
    )


def _check_prometheus(facts: DeploymentFacts) -> str | None:
    url = urlsplit(facts.prometheus_url)
    if not facts.prometheus_url or url.scheme == "https" or _is_loopback(url.hostname):
        return None
    return (
        "the token for Prometheus would leave this machine in plain: use https:// in COUNTERSIGN_PROMETHEUS_URL, or "
        "leave COUNTERSIGN_PROMETHEUS_TOKEN_FILE out"
    )


def _check_sign_in(facts: DeploymentFacts) -> str | None:
    if facts.issuer or _is_loopback(facts.host) or facts.allowed.static_tokens:
        return None
    return (
        "it listens beyond this machine with static tokens only: set COUNTERSIGN_OIDC_ISSUER "
        "(COUNTERSIGN_ALLOW_STATIC_TOKENS=true overrides this)"
    )


def _check_public_url(facts: DeploymentFacts) -> str | None:
    if facts.public_url is None or _is_loopback(facts.host) or urlsplit(facts.public_url).scheme == "https":
        return None
    return "it serves pages beyond this machine: set COUNTERSIGN_PUBLIC_URL to their https:// address"


def _check_token_identity(facts: DeploymentFacts) -> str | None:
    """Check that no signing token lacks an identity. There is no override: such a token signs for anybody."""
    open_to = next(
        (item for item in facts.grants if item.signs_as_owner and set(item.roles) & set(SIGNING_ROLES)), None
    )
    if open_to is None:
        return None
    return (
        f"the token of {open_to.subject} in the tokens file signs as whoever owns the review: give it a `practitioner` "
        "or take it out"
    )


def _check_endpoint(endpoint: EndpointFacts) -> str | None:
    """Check that patient data leaves the hospital only as agreed. There is no override: its declaration counts."""
    if not endpoint.remote:
        return None
    missing = [name for name, value in (("region", endpoint.region), ("agreement", endpoint.agreement)) if not value]
    where = f"the endpoint {endpoint.name} would send patient data to {endpoint.host}"
    if missing:
        return f"{where}: state its {' and '.join(missing)} in COUNTERSIGN_GENERATION_ENDPOINTS"
    if not endpoint.encrypted:
        return f"{where} in plain: only an https:// url in COUNTERSIGN_GENERATION_ENDPOINTS is encrypted"
    return None


def is_open_to_others(file: SecretFile) -> str | None:
    """Return the sentence about a file that every user of the machine may read; None where it is not open. Pure."""
    if not file.mode & stat.S_IRWXO:
        return None
    return f"{file.path} ({file.setting}) is open to every user of this machine: chmod o= it"


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
