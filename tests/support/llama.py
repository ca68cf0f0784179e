"""llama.cpp's OpenAI-compatible server as a process, with the model that ships."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.stack import triton
from cli.stack.ports import free_port
from shared.inference.http_generation import HttpGenerator
from shared.inference.openai_api import OpenAiApi
from tests.support import http

SCRIPT = Path(__file__).with_name("llama_server.py")
LLAMA_MODEL = "smollm2"
LLAMA_KEY = "sk-llama"
PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class LlamaServer:
    url: str

    def generator(self, *, key: str | None = None, revision: str = "", endless: bool = False) -> HttpGenerator:
        """`key` takes the place of the right one. `endless`: the model writes until `max_tokens`."""
        parameters = {"repeat_penalty": 1.1, "ignore_eos": endless}  # llama.cpp's own
        return HttpGenerator(
            OpenAiApi(), self.url, LLAMA_MODEL, key=lambda: key or LLAMA_KEY, revision=revision, parameters=parameters
        )


@contextmanager
def llama_server(directory: Path) -> Iterator[LlamaServer]:
    port = free_port()
    python = triton.ENVIRONMENT / "bin" / "python"
    with (directory / "llama.log").open("wb") as log:
        process = subprocess.Popen(
            [os.fspath(python), os.fspath(SCRIPT), str(port), LLAMA_MODEL, LLAMA_KEY], stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _ready(port):
            assert time.monotonic() < deadline, (directory / "llama.log").read_text()[-2000:]
            assert process.poll() is None, (directory / "llama.log").read_text()[-2000:]
            time.sleep(0.1)
        yield LlamaServer(f"http://127.0.0.1:{port}/v1")
    finally:
        process.kill()
        process.wait()


def _ready(port: int) -> bool:
    try:
        return http.get(f"http://127.0.0.1:{port}/health", timeout=1).is_success
    except httpx.HTTPError:
        return False
