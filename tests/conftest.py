"""Fixtures of every kind of test."""

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest
from _pytest.nodeid import coerce_node_id
from hypothesis import HealthCheck, settings

from cli.contexts import VARIABLES
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

MEMORY, ROOM = Path("/dev/shm"), 6 << 30  # noqa: S108 - the system's own file system in memory
ROOT = "PYTEST_DEBUG_TEMPROOT"  # where pytest makes tests' directories


def in_memory() -> bool:
    """Whether there is room for the tests' directories in memory, of which those of passed tests are removed at once.

    Every write of a server is synced, as in operation: on a disk a fresh one takes half a second to provision, here a
    tenth. What syncing is for, a power cut, no test can make.
    """
    if not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return False
    found = os.statvfs(MEMORY)
    roomy = min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available) > ROOM
    return roomy and not found.f_flag & os.ST_NOEXEC


if ROOT not in os.environ and in_memory():
    os.environ[ROOT] = str(MEMORY)

# Commands must not work on the installation that whoever runs the tests has chosen as the current context.
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="countersign-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CONFIG_HOME"], ignore_errors=True)
for name in VARIABLES:
    os.environ.pop(name, None)


# Time is judged in `bench/`: on a busy machine an example takes longer than Hypothesis allows.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# What is imported and collected stays until the end: a collection of garbage that walks through it finds nothing, and
# takes a fifth of the tests' processor time. One after every 700 allocations, as Python does, takes another tenth; a
# service collects after 50,000.
PROMPT, SELDOM = gc.get_threshold(), (5_000, 10, 10)
gc.disable()


SYSTEM = frozenset({"browser", "triton", "e2e", "chaos", "cluster"})  # markers whose tests are `system` too


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the tests that may take longest, where several processes run them: none is left alone at the end."""
    for item in items:
        if any(mark.name in SYSTEM for mark in item.iter_markers()):
            item.add_marker(pytest.mark.system)
    if hasattr(config, "workerinput"):
        items.sort(key=_limit, reverse=True)
        for item in items:
            _name_group(item)


def _name_group(item: pytest.Item) -> None:
    """Append the test's `xdist_group` to its id, by which the scheduler of `--dist loadgroup` knows it.

    pytest-xdist 3.8 sets `_nodeid` for that, which pytest 9.2 does not read any more: groups would be ignored.
    """
    group = item.get_closest_marker("xdist_group")
    if group is not None and hasattr(item, "_id") and "@" not in item.nodeid.rpartition("]")[2]:
        item._id = coerce_node_id(f"{item.nodeid}@{group.args[0]}")


def _limit(item: pytest.Item) -> float:
    """The time in seconds that a test may take; 0 for one that is content with the limit of all."""
    timeout = item.get_closest_marker("timeout")
    return float(timeout.args[0]) if timeout is not None else 0.0


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*SELDOM)
    gc.enable()


@pytest.fixture
def prompt_gc() -> Iterator[None]:
    """Collect garbage as often as Python does by itself, for tests that measure this process's memory."""
    gc.collect()
    gc.set_threshold(*PROMPT)
    yield
    gc.set_threshold(*SELDOM)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A real nats-server, not provisioned."""
    directory = tmp_path / "nats-data"
    directory.mkdir()
    server = NatsServer(directory)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def stack(nats: NatsServer) -> AsyncIterator[Stack]:
    """All services on it, with the sandbox EHR."""
    await nats.provision()
    async with running(nats, sandbox()) as found:
        yield found
