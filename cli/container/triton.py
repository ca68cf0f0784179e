"""Start Triton in its container, on all addresses, with models on the CPU."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from cli.stack import triton
from cli.stack.process import OWNER_ONLY_UMASK

PORTS = triton.TritonPorts(grpc=8001, metrics=8002)


def copy_stub(backends: Path) -> Path:
    """Replace the link to the Python backend's stub by a copy, as Triton changes its mode, which only its owner may.

    Return the folder of the libraries that the original finds beside itself.
    """
    link = backends / "python" / "triton_python_backend_stub"
    original = link.resolve()
    link.unlink()
    shutil.copy(original, link)
    return original.parents[4] / "nvidia_pytriton.libs"


def main() -> None:
    """Replace this process by the server. Arguments: the models to load."""
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
