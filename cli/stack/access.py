"""`access.json`: addresses and tokens of a stack, for commands on the same machine. Imports little."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.errors import CommandError


@dataclass(frozen=True, slots=True)
class StackAccess:
    """The content of `access.json`."""

    base_url: str
    tokens: dict[str, str]
    demo_encounters: list[str]
    nats_url: str
    ehr_url: str
    nats_monitor_url: str = ""
    triton_url: str = ""  # gRPC host:port
    triton_metrics: str = ""  # host:port of its /metrics
    drafter_model: str = "drafter"
    hl7_port: int = 0  # of the listener for ADT messages; 0: none, or the environment's


ERASURES = "erasures"  # folder in the data directory with the list of erasures, which a restore reads


def default_data_dir() -> Path:
    return Path(os.environ.get("COUNTERSIGN_DATA_DIR", ".countersign"))


def write_private(path: Path, text: str) -> None:
    """Write a file atomically, readable for its owner only."""
    part = path.with_suffix(path.suffix + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def write_access(data_dir: Path, access: StackAccess) -> None:
    write_private(data_dir / "access.json", json.dumps(asdict(access), indent=1))


def read_access(data_dir: Path) -> StackAccess:
    """Return what the running stack wrote. Raises CommandError when none was started."""
    try:
        return StackAccess(**json.loads((data_dir / "access.json").read_text()))
    except (OSError, ValueError, TypeError):
        raise CommandError(f"No stack has been started on {data_dir}. Start one with: countersign up") from None
