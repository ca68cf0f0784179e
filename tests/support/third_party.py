"""A FHIR server that others wrote, as a process: Medplum's router over its repository in memory."""

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
    if not (FOLDER / "node_modules").is_dir():
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
