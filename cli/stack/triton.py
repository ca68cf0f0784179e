"""The embedded Triton server: environment, command and readiness.

nvidia-pytriton's wheel carries a real Triton with the Python backend. It needs numpy < 2, so it has an environment of
its own. Nothing is written outside the data directory.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import grpc
import tritonclient.grpc.aio as grpc_client
from tritonclient.utils import InferenceServerException

from cli.errors import CommandError
from cli.stack.process import SupervisedProcess, inherited_environment
from shared.contracts.envelope import sha256_hex

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-triton"
MODELS = ROOT / "deploy" / "triton" / "models"
EMBEDDER = ENVIRONMENT / "embedder"  # weights and tokenizer, built at installation: deploy/triton/build_embedder.py
# Loading a model runs code in the server; registering shared memory writes into that of its models; trace and log
# settings write its files. None of it is needed: the key is one that no header can carry. (A secret key would be
# visible in the list of processes.)
RESTRICTED_PROTOCOLS = "model-repository,shared-memory,trace,logging"
# The HTTP servers are disabled: the bundled version has vulnerabilities that run code there (docs/adr/0039), and any
# web page in a browser on this machine can send HTTP. Services use gRPC; the server of /metrics reads no request
# bodies.
HARDENING_OPTIONS = (
    "--model-control-mode=none",
    "--allow-http=false",
    "--allow-sagemaker=false",
    "--allow-vertex-ai=false",
    f"--grpc-restricted-protocol={RESTRICTED_PROTOCOLS}:closed=\n",
)
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the Python backend keeps its regions


@dataclass(frozen=True, slots=True)
class TritonPorts:
    grpc: int
    metrics: int


def server_home(environment: Path) -> Path:
    """Return the folder of the server in the wheel. Raises CommandError when it is missing."""
    for home in environment.glob("lib/python3.*/site-packages/pytriton/tritonserver"):
        if (home / "bin" / "tritonserver").exists():
            return home
    raise CommandError(f"The model server is missing: there is no Triton in {environment}. Run: make install")


def link_backends(home: Path, data_dir: Path) -> Path:
    """Create a backend directory of links: the Python backend needs the stub of its interpreter beside its library."""
    python = data_dir / "triton" / "backends" / "python"
    python.mkdir(parents=True, exist_ok=True)
    version = home.parents[2].name  # lib/python3.11/site-packages/pytriton/tritonserver
    stub = home / "python_backend_stubs" / version.removeprefix("python") / "triton_python_backend_stub"
    if not stub.exists():
        raise CommandError(f"This Triton has no stub for {version}. Run: make install")
    for target in (*(home / "backends" / "python").iterdir(), stub):
        link = python / target.name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    return python.parent


def link_models(repository: Path, models: tuple[str, ...]) -> Path:
    """Create a model repository of links, as the server loads every model in its repository.

    Raises CommandError for an unknown model.
    """
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir(parents=True)
    for name in models:
        if not (MODELS / name / "config.pbtxt").exists():
            known = ", ".join(sorted(item.name for item in MODELS.iterdir()))
            raise CommandError(f"There is no model {name}. There are: {known}.")
        (repository / name).symlink_to(MODELS / name)
    return repository


def command(
    home: Path,
    backends: Path,
    ports: TritonPorts,
    models: tuple[str, ...],
    region: str,
    host: str = "127.0.0.1",
) -> list[str]:
    """Return the command that serves `models`, without model control. `region` prefixes its shared memory."""
    return [
        str(home / "bin" / "tritonserver"),
        f"--model-repository={link_models(backends.parent / 'models', models)}",
        f"--backend-directory={backends}",
        *HARDENING_OPTIONS,
        # A model's instance runs when the cores that its configuration asks for are free: deploy/triton/README.md.
        "--rate-limit=execution_count",
        f"--rate-limit-resource=cores:{os.cpu_count() or 1}",
        f"--backend-config=python,shm-region-prefix-name={region}",
        f"--grpc-address={host}",
        f"--grpc-port={ports.grpc}",
        f"--metrics-address={host}",
        f"--metrics-port={ports.metrics}",
        "--log-verbose=0",
        "--log-info=false",
    ]


def process_environment(environment: Path) -> dict[str, str]:
    """Return the environment of the server, by which the stub finds its interpreter and packages."""
    site = next(environment.glob("lib/python3.*/site-packages"))
    binaries = environment / "bin"
    return inherited_environment() | {
        "PATH": f"{binaries}:{os.environ.get('PATH', os.defpath)}",
        "PYTHONSAFEPATH": "1",
        "VIRTUAL_ENV": str(environment),
        "PYTHONPATH": str(site),
        "OMP_NUM_THREADS": "1",
        "COUNTERSIGN_EMBEDDER": str(EMBEDDER),
    }


def empty_directory(place: Path) -> Path:
    """Create an empty working directory, as the Python backend imports from it first."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, mode=0o700)
    return place


def shared_memory_prefix(data_dir: Path) -> str:
    """Return the prefix of the shared memory of a stack."""
    return f"countersign_{sha256_hex(str(data_dir).encode())[:12]}_"


def clear_shared_memory(region: str) -> None:
    """Delete the shared memory that a killed server left behind."""
    for left in SHARED_MEMORY.glob(f"{region}*"):
        left.unlink(missing_ok=True)


def make_process(data_dir: Path, ports: TritonPorts, models: tuple[str, ...], logs: Path) -> SupervisedProcess:
    """Return the server as a supervised process; it is ready when its models are."""
    home = server_home(ENVIRONMENT)
    region = shared_memory_prefix(data_dir)
    clear_shared_memory(region)

    async def ready() -> bool:
        return await models_ready(f"127.0.0.1:{ports.grpc}", models)

    return SupervisedProcess(
        "Triton",
        command(home, link_backends(home, data_dir), ports, models, region),
        log=logs / "triton.log",
        ready=ready,
        environment=process_environment(ENVIRONMENT),
        directory=empty_directory(data_dir / "triton" / "run"),
        timeout_s=180.0,
    )


async def models_ready(address: str, models: tuple[str, ...]) -> bool:
    """Return whether all `models` are ready at the gRPC address."""
    client = grpc_client.InferenceServerClient(address)
    try:
        return all([await client.is_model_ready(name, client_timeout=1) for name in models])
    except (InferenceServerException, grpc.RpcError):
        return False
    finally:
        await client.close()
