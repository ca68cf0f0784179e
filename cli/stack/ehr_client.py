"""Keys of our client at the EHR (SMART Backend Services): created once, rotated on demand."""

from collections.abc import Sequence
from pathlib import Path

from cli.errors import CommandError
from cli.stack.access import write_private
from shared.contracts.errors import PermanentError
from shared.oauth.client_keys import (
    ALGORITHMS,
    Algorithm,
    dump_keys,
    dump_public_keys,
    generate_key,
    parse_keys,
    rotate_keys,
)

KEYS, JWKS = "ehr-client-keys.json", "ehr-client-jwks.json"  # private keys; their public halves, for publication


def client_key_files(
    directory: Path, now: int, *, rotate: bool = False, algorithms: Sequence[Algorithm] = ALGORITHMS
) -> dict[str, str]:
    """Return the content of both files, with new keys where there are none or `rotate` asks for them.

    Raises CommandError when the existing file holds no keys.
    """
    file = directory / KEYS
    try:
        keys = parse_keys(file.read_text()) if file.exists() else ()
    except PermanentError as error:
        raise CommandError(f"{file}: {error.reason}.") from None
    if not keys:
        keys = tuple(generate_key(algorithm, now) for algorithm in algorithms)
    elif rotate:
        keys = rotate_keys(keys, now)
    return {KEYS: dump_keys(keys), JWKS: dump_public_keys(keys)}


def ensure_client_keys(directory: Path, now: int, *, demo: bool) -> None:
    """Write both files of an embedded stack. The sandbox EHR needs no RSA key, which takes long to generate."""
    for name, text in client_key_files(directory, now, algorithms=("ES384",) if demo else ALGORITHMS).items():
        write_private(directory / name, text)
