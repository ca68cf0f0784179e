"""Processes that we start run nothing of the folder they are started in, and are told no secrets."""

import ast
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from cli.stack.process import SupervisedProcess
from services.drafter.notes import pdf
from services.ingest.documents.reader import DocumentReader
from tests.unit.test_formats import pdf as written_pdf

ROOT = Path(__file__).parents[2]
SHIPPED = ("cli", "sandbox_ehr", "services", "shared", "tools")
# Where processes are started: each place is tried below, or in tests/connected/test_triton_closed.py.
PLACES = {
    "cli/stack/process.py",  # nats-server, Triton, Prometheus and VictoriaMetrics of `make local-dashboards`
    "cli/container/triton.py",  # becomes Triton
    "services/drafter/notes/pdf.py",
    "shared/runtime/worker_process.py",  # of documents, of texts that are edited
    "services/ingest/documents/worker.py",  # forks itself
    "tools/helm/kustomize.py",  # kubectl
}
STARTS = {
    "create_subprocess_exec",
    "create_subprocess_shell",
    "Popen",
    "run_module",
    "system",
    "popen",
    "fork",
    "execve",
}
STARTS |= {"execv", "execvp", "execvpe", "posix_spawn", "spawnv", "check_call", "check_output", "ProcessPoolExecutor"}
TRAPS = [
    *sorted(sys.stdlib_module_names),
    *("pypdfium2", "pypdfium2_raw", "lxml", "docx", "services", "shared", "pydantic", "markdown_it"),
    *("sitecustomize", "usercustomize"),
]


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be started in, whose modules all write here; the environment points to it, too."""
    found, here = tmp_path / "ran", tmp_path / "here"
    here.mkdir()
    for name in TRAPS:
        if not name.startswith("_"):
            (here / f"{name}.py").write_text(f"open({str(found)!r}, 'a').write({name!r} + ' ')\n")
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYTHONPATH", str(here))
    monkeypatch.setenv("PYTHONSTARTUP", str(here / "dis.py"))
    monkeypatch.setenv("COUNTERSIGN_EHR_TOKEN", "secret")
    return found


async def test_the_traps_work(ran: Path, tmp_path: Path) -> None:
    """Or what follows would show nothing."""
    await started([sys.executable, "-m", "dis"], tmp_path, ran)
    assert ran_of(ran) != ""


async def test_what_reads_pdfs_of_notes(ran: Path) -> None:
    assert "Pneumonia" in await pdf.text_of(written_pdf("Pneumonia, improving."))
    assert ran_of(ran) == ""


async def test_what_reads_documents(ran: Path) -> None:
    reader = DocumentReader()
    for name, data in (("a.md", b"# Gout\n\nRest."), ("a.pdf", written_pdf("Gout")), ("a.csv", b"a,b\n1,2\n")):
        if name.endswith("csv"):
            await reader.rows(name, data)
        else:
            await reader.read(name, data)
    await reader.close()
    assert ran_of(ran) == ""


async def test_a_child_is_told_no_secret_unless_it_is_given_one(ran: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = f"import os, signal; open({str(told)!r}, 'w').write(' '.join(os.environ)); signal.pause()"
    await started([sys.executable, "-I", "-c", script], tmp_path, told)
    assert "PATH" in ran_of(told).split()
    assert not [name for name in ran_of(told).split() if name.startswith(("COUNTERSIGN", "PYTHON"))]


def test_what_a_child_writes_is_for_its_user_alone(tmp_path: Path) -> None:
    """On the event loop that the command has: not all of them take the same arguments."""
    made = tmp_path / "made"
    script = f"import signal; open({str(made)!r}, 'w').write('x'); signal.pause()"
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(started([sys.executable, "-I", "-c", script], tmp_path, made))
    assert made.stat().st_mode & 0o077 == 0


async def started(command: list[str], folder: Path, writes: Path) -> None:
    """A supervised child, until it has written."""

    async def ready() -> bool:
        return ran_of(writes) != ""

    child = SupervisedProcess("a child", command, log=folder / "log", ready=ready)
    await child.start()
    await child.stop()


def ran_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def test_processes_are_started_where_this_test_knows_it() -> None:
    assert {str(file.relative_to(ROOT)) for file in _starting()} == PLACES


def _starting() -> Iterator[Path]:
    for folder in SHIPPED:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and _name(node.func) in STARTS:
                    yield file
                if isinstance(node, ast.Import | ast.ImportFrom) and "subprocess" in ast.unparse(node):
                    yield file


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
