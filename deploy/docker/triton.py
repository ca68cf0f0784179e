"""Starts Triton in its container, on all of its addresses: models on the CPU, for machines without a GPU."""

import os
import sys
import tempfile
from pathlib import Path

from cli.stack import triton

PORTS = triton.TritonPorts(http=8000, grpc=8001, metrics=8002)


def main() -> None:
    """Becomes the server. Arguments: the models to load."""
    home = triton.server_home(triton.ENVIRONMENT)
    backends = triton.link_backends(home, Path(tempfile.mkdtemp()))
    models = tuple(sys.argv[1:]) or ("drafter", "embedder")
    arguments = triton.command(home, backends, PORTS, models, "countersign_", host="0.0.0.0")  # noqa: S104 - container
    os.execve(arguments[0], arguments, triton.environment_of(triton.ENVIRONMENT))  # noqa: S606 - ours


if __name__ == "__main__":
    main()
