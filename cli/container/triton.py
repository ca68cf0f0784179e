"""Starts Triton in its container, on all of its addresses: models on the CPU, for machines without a GPU."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from cli.stack import triton
from cli.stack.process import OWNER_ONLY_UMASK

PORTS = triton.TritonPorts(grpc=8001, metrics=8002)


def copy_stub(backends: Path) -> Path:
    """Triton sets the mode of the Python backend's stub, which only its owner may: the container's user gets a copy.

    Returns where the libraries are that the stub finds beside itself otherwise.
    """
    link = backends / "python" / "triton_python_backend_stub"
    original = link.resolve()
    link.unlink()
    shutil.copy(original, link)
    return original.parents[4] / "nvidia_pytriton.libs"


def main() -> None:
    """Becomes the server. Arguments: the models to load."""
    home = triton.server_home(triton.ENVIRONMENT)
    place = Path(tempfile.mkdtemp())
    backends = triton.link_backends(home, place)
    environment = triton.process_environment(triton.ENVIRONMENT) | {"LD_LIBRARY_PATH": str(copy_stub(backends))}
    models = tuple(sys.argv[1:]) or ("drafter", "embedder")
    arguments = triton.command(home, backends, PORTS, models, "countersign_", host="0.0.0.0")  # noqa: S104 - container
    os.umask(OWNER_ONLY_UMASK)
    os.chdir(triton.empty_directory(place / "run"))
    os.execve(arguments[0], arguments, environment)  # noqa: S606 - ours


if __name__ == "__main__":
    main()
