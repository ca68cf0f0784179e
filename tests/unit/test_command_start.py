"""`countersign --help` answers at once: the libraries of servers are imported by the commands that need them."""

import subprocess
import sys

SLOW = {"aiohttp", "fastapi", "faststream", "nats", "numpy", "pydantic_settings", "qdrant_client", "uvicorn"}


def test_the_command_starts_without_the_libraries_of_servers() -> None:
    code = "import sys, cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "typer" in imported
    assert imported & SLOW == set()
