"""Settings for the EHR of an embedded stack: the sandbox, or the one that the environment describes."""

from pathlib import Path

from cli.stack.access import StackAccess
from cli.stack.ehr_client import KEYS
from shared.runtime.settings import EhrSettings

DEMO_CLIENT = "countersign"  # as the sandbox EHR of an embedded stack has it registered


def demo_ehr(url: str, directory: Path) -> EhrSettings:
    """Return the settings for the sandbox EHR of an embedded stack; those of the environment are for another EHR."""
    return EhrSettings(
        url=url,
        token=None,
        token_file=None,
        client_id=DEMO_CLIENT,
        client_key_file=directory / KEYS,
        client_secret=None,
        client_secret_file=None,
        client_jwks_url="",
        token_url="",
        scope="",
    )


def stack_ehr(access: StackAccess, directory: Path) -> EhrSettings:
    """Return the settings for the EHR of the stack on `directory`, as its services have them."""
    if access.demo_encounters and (directory / KEYS).exists():
        return demo_ehr(access.ehr_url, directory)
    return EhrSettings(url=access.ehr_url)
