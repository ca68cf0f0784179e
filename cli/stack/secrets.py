"""Secrets of a data directory: nkey seeds, the key for encryption at rest, API tokens. Created once, mode 0600."""

import os
import secrets
from pathlib import Path

import nkeys
from pydantic import BaseModel, ConfigDict, ValidationError

from cli.errors import CommandError
from cli.stack.access import write_private
from shared.messaging.topology import SERVICES
from shared.runtime.authentication import ROLES, ApiToken, ApiTokens, token_digest

USERS = (*SERVICES, "operator", "auditor", "backup", "admin", "system")


class Secrets(BaseModel):
    """`secrets.json` of a data directory."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    storage_key: str  # of JetStream's encryption at rest
    seeds: dict[str, str]  # user → nkey seed
    tokens: dict[str, str]  # role → bearer token


def load_or_create(data_dir: Path) -> Secrets:
    """Return the secrets of `data_dir`, created on the first start.

    Raises CommandError when they are damaged, or missing although encrypted data exists.
    """
    path = data_dir / "secrets.json"
    if path.exists():
        try:
            return _add_missing_seeds(path, Secrets.model_validate_json(path.read_bytes()))
        except (ValidationError, OSError):
            raise CommandError(
                f"The data directory is damaged: {path} cannot be read. Restore it from a backup, or start elsewhere "
                "with --data-dir."
            ) from None
    if (data_dir / "nats").exists():
        raise CommandError(
            f"The data directory is damaged: {path} is missing, and without it the stored data cannot be decrypted. "
            "Restore it from a backup, or start elsewhere with --data-dir."
        )
    made = Secrets(
        storage_key=secrets.token_urlsafe(32),
        seeds={user: _new_seed() for user in USERS},
        tokens={role: secrets.token_urlsafe(24) for role in ROLES},
    )
    write_private(path, made.model_dump_json(indent=1))
    return made


def _add_missing_seeds(path: Path, found: Secrets) -> Secrets:
    """Add seeds of users that did not exist yet when the directory was created."""
    missing = {user: _new_seed() for user in USERS if user not in found.seeds}
    if not missing:
        return found
    found = found.model_copy(update={"seeds": found.seeds | missing})
    write_private(path, found.model_dump_json(indent=1))
    return found


def _new_seed() -> str:
    return str(nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER), "ascii")


def read_seed_file(file: Path) -> str:
    """Return the nkey seed that a file holds. Raises CommandError."""
    try:
        seed = file.read_text().strip()
        public_key(seed)
    except (OSError, ValueError, nkeys.NkeysError):
        raise CommandError(f"{file} does not hold an nkey seed. Create one with: countersign secrets init") from None
    return seed


def public_key(seed: str) -> str:
    """Return the public key (`U…`) for the server's configuration."""
    pair = nkeys.from_seed(bytearray(seed.encode()))
    return str(pair.public_key, "ascii")


def write_tokens(path: Path, tokens: dict[str, str]) -> None:
    """Write the tokens file of the services. Demo clinicians have no FHIR identity: they sign as the review's owner."""
    grants = ApiTokens(
        tokens=tuple(
            ApiToken.model_validate({"sha256": token_digest(token), "subject": f"demo-{role}", "role": role})
            for role, token in tokens.items()
        )
    )
    write_private(path, grants.model_dump_json(indent=1))
