"""A FHIR server that others wrote, as a process: Medplum's router over its repository in memory."""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "thirdparty"


def installed() -> None:
    """Installs the server as its lock file says; the test is skipped where there is no Node.js."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not here: the third-party server comes from npm's registry")
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes, and they share the folder
        if not (FOLDER / "node_modules" / ".package-lock.json").is_file():  # npm writes it last
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=300)


@contextmanager
def serving(resources: list[dict[str, Any]], directory: Path) -> Iterator[str]:
    """The base URL of the server with `resources` in it; it ends with the block, and with this process."""
    installed()
    bundle = directory / "bundle.json"
    bundle.write_text(json.dumps({"resourceType": "Bundle", "entry": [{"resource": item} for item in resources]}))
    command = ["node", str(FOLDER / "server.mjs"), str(bundle)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        line = server.stdout.readline()  # it comes when the server listens, or is empty when it has ended
        assert line, "the third-party server did not start"
        try:
            yield f"http://127.0.0.1:{json.loads(line)['port']}/fhir/R4"
        finally:
            server.kill()


def errors(bundles: list[bytes], directory: Path) -> list[dict[str, Any]]:
    """What Medplum's validator has against Bundles, and the resources in them, by the definitions of R4."""
    installed()
    files = [directory / f"{number}.json" for number in range(len(bundles))]
    for file, bundle in zip(files, bundles, strict=True):
        file.write_bytes(bundle)
    command = ["node", str(FOLDER / "validate.mjs"), *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
