"""Faults: a schedule that follows from the seed, and the injector that runs it."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

from cli.stack.certificates import LIFETIME
from tests.proof.clients import Gate
from tests.proof.journal import Journal, now
from tests.proof.stack import SERVICES, ProofStack
from tests.support.clock import moved_clock

UNTIL = 0.9  # of the cases: the last of them have to meet faults, too
OTHERS = 0.8  # further faults for each kill
# Kind → where, and for how many seconds at least and at most.
KINDS: dict[str, tuple[tuple[str, ...], tuple[float, float]]] = {
    "stop": ((*SERVICES, "nats", "ehr", "provider"), (0.5, 6.0)),
    "long-stop": (SERVICES, (13.0, 16.0)),  # longer than the server waits for an acknowledgement
    "cut": (("ehr", "nats", "provider"), (0.2, 4.0)),
    "slow": (("ehr", "nats", "provider"), (1.0, 5.0)),
    "down": (("ehr", "provider", "nats"), (3.0, 10.0)),
    "end": (SERVICES, (0.0, 1.0)),
    "ehr-errors": (("ehr",), (0.0, 0.0)),
    "full": (("nats",), (1.0, 5.0)),
    "expired": (("nats",), (1.0, 5.0)),
    "clock": (SERVICES, (5.0, 20.0)),
}
SHARES = {"stop": 6, "long-stop": 1, "cut": 6, "slow": 4, "down": 2, "end": 3, "ehr-errors": 4, "full": 2, "expired": 2}
SHARES |= {"clock": 3}
MOST_CLOCK = 90  # seconds that a clock is ahead or behind
DELAY = (0.02, 0.3)  # seconds that each piece takes on a slow connection
ARMED: tuple[dict[str, Any], ...] = (
    {"kind": "status", "status": 503, "times": 3},
    {"kind": "status", "status": 429, "retry_after": "1", "times": 2},
    {"kind": "lost-response", "method": "POST", "type": "DocumentReference", "times": 2},
    {"kind": "lost-response", "method": "POST", "type": "Task"},
    {"kind": "lost-response", "method": "POST", "type": "Provenance"},
    {"kind": "lost-response", "method": "PUT", "type": "Task"},
    {"kind": "delay", "seconds": 3.0, "times": 4},
)


@dataclass(frozen=True, slots=True)
class Fault:
    """`at`: how many cases have ended when it comes."""

    at: int
    kind: str
    target: str
    seconds: float


def schedule(seed: int, cases: int, kills: int, restores: int, targets: list[str], upgrades: int = 0) -> list[Fault]:
    """`kills` times kill -9, every target at least once where there is room, and what comes beside them."""
    chance = Random(f"faults/{seed}")
    killed = [targets[index % len(targets)] for index in range(min(kills, len(targets)))]
    killed += chance.choices(targets, k=kills - len(killed))
    found = [("kill", target, chance.uniform(0, 1.5)) for target in killed]
    for kind in chance.choices(list(SHARES), list(SHARES.values()), k=round(kills * OTHERS)):
        places, (least, most) = KINDS[kind]
        found.append((kind, chance.choice(places), chance.uniform(least, most)))
    found += [("restore", "everything", 0.0)] * restores + [("upgrade", "everything", 0.0)] * upgrades
    chance.shuffle(found)
    moments = sorted(chance.randrange(max(1, round(cases * UNTIL))) for _ in found)
    return [Fault(at, *fault) for at, fault in zip(moments, found, strict=True)]


class FaultInjector:
    """Injects the faults of a schedule. Two faults at a time never have the same target."""

    def __init__(self, stack: ProofStack, gate: Gate, journal: Journal, seed: int) -> None:
        self._stack, self._gate, self._journal = stack, gate, journal
        self._chance = Random(f"trouble/{seed}")
        self._locks = {name: asyncio.Lock() for name in stack.names}
        self.done: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.late_ends: list[str] = []

    async def run(self, faults: list[Fault], ended: Callable[[], int], wait: Callable[[], Any]) -> None:
        """`ended`: cases so far; `wait` returns when another one has ended."""
        async with asyncio.TaskGroup() as group:
            running: set[asyncio.Task[None]] = set()
            for fault in faults:
                while ended() < fault.at:
                    await wait()
                while len(running) > 1 or (running and fault.target == "everything"):
                    _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                if fault.target == "everything":
                    await self._inject(fault)
                    continue
                running = {task for task in running if not task.done()} | {group.create_task(self._inject(fault))}

    async def _inject(self, fault: Fault) -> None:
        names = list(self._locks) if fault.target == "everything" else [fault.target]
        async with contextlib.AsyncExitStack() as held:
            for name in names:
                await held.enter_async_context(self._locks[name])
            begin = now()
            more = await getattr(self, "_" + fault.kind.replace("-", "_"))(fault) or {}
            self.done[fault.kind] += 1
            times = {"begin": begin.isoformat(), "end": now().isoformat()}
            self._journal.note("fault", what=fault.kind, target=fault.target, **times, **more)

    async def _kill(self, fault: Fault) -> None:
        self._stack.kill(fault.target)
        self.killed[fault.target] += 1
        await asyncio.sleep(fault.seconds)
        await self._stack.bring_back(fault.target)

    _down = _kill

    async def _end(self, fault: Fault) -> None:
        """As an upgrade does it."""
        if not await self._stack.end(fault.target):
            self.late_ends.append(fault.target)
        await asyncio.sleep(fault.seconds)
        await self._stack.bring_back(fault.target)

    async def _stop(self, fault: Fault) -> None:
        self._stack.send(fault.target, signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        self._stack.send(fault.target, signal.SIGCONT)

    _long_stop = _stop

    async def _cut(self, fault: Fault) -> None:
        async with self._impaired_link(fault) as link:
            link.cut()

    async def _slow(self, fault: Fault) -> None:
        async with self._impaired_link(fault) as link:
            link.slow(self._chance.uniform(*DELAY))

    @contextlib.asynccontextmanager
    async def _impaired_link(self, fault: Fault) -> AsyncIterator[Any]:
        link = self._stack.links[fault.target]
        yield link
        await asyncio.sleep(fault.seconds)
        link.mend()

    async def _ehr_errors(self, _: Fault) -> None:
        """The next requests of a kind fail, or are done and not answered."""
        with contextlib.suppress(httpx.HTTPError):
            async with httpx.AsyncClient(timeout=5) as http:
                base = self._stack.ehr_url.removesuffix("/fhir")
                await http.post(f"{base}/sandbox/faults", json=self._chance.choice(ARMED))

    async def _full(self, fault: Fault) -> None:
        """No room for another message."""
        self._stack.fill_the_disk()
        await asyncio.sleep(fault.seconds)
        self._stack.make_room()

    async def _expired(self, fault: Fault) -> None:
        """The server's certificate has expired, and every connection has to be made anew; then it is renewed."""
        self._stack.certify(now() - 2 * LIFETIME)
        self._stack.links["nats"].cut()
        self._stack.links["nats"].mend()
        await asyncio.sleep(fault.seconds)
        self._stack.certify(now())

    async def _clock(self, fault: Fault) -> dict[str, int]:
        """One service starts ahead of the others, or behind them, and then as they are."""
        seconds = self._chance.randint(-MOST_CLOCK, MOST_CLOCK)
        for environment in (moved_clock(seconds), {}):
            if not await self._stack.end(fault.target):
                self.late_ends.append(fault.target)
            self._stack.parts[fault.target].more = environment
            await self._stack.bring_back(fault.target)
            await asyncio.sleep(fault.seconds if environment else 0)
        return {"clock": seconds}

    async def _upgrade(self, _: Fault) -> None:
        """Every service by the next version of it, one after the other."""
        self.late_ends += await self._stack.upgrade()

    async def _restore(self, fault: Fault) -> None:
        await self._gate.close()
        try:
            await self._stack.restore_a_backup(self._stack.directory / "backup")
        finally:
            self._gate.opened.set()
