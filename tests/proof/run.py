"""One run of the proof: the stack, the cases through their plans, the faults, then quiet, then the checker."""

import asyncio
import contextlib
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from sandbox_ehr.seed import SEED
from tests.proof import faults, plans
from tests.proof.case_states import CaseStates
from tests.proof.checker.collect import EvidenceSources, collect, streams
from tests.proof.checker.evidence import Evidence, Message, Violation
from tests.proof.checker.rules import check
from tests.proof.clients import AdtSender, Client, Gate, IntegrationEngine, Odds
from tests.proof.ehr_clerk import EhrClerk
from tests.proof.encounters import Encounter, Encounters, UnexpectedAnswer
from tests.proof.journal import Journal
from tests.proof.stack import PEOPLE, ROOT, ProofStack
from tests.support.clock import LIBRARY
from tests.support.patients import MARKS, write_stays
from tests.support.versions import export

MOST = 4  # resources of a type in each stay
MANY = 1000  # cases; the sandbox holds all documents in memory, and a PDF is three quarters of each
SMALL = "text/plain,application/xhtml+xml,application/fhir+json"
MARK = "Qzwordmark"  # stands in whatever physicians write
SENT = ("discharge", "cancel", "pending", "pending-cancel", "edit", "decision")  # what the journal has of requests
REDRIVE_EVERY = 3.0
TRIES = 10  # of the operator at one dead letter: a case may have been put back already, or have moved on


@dataclass(frozen=True, slots=True)
class Options:
    cases: int = 500
    kills: int = 20
    minutes: float = 60.0  # for plans and faults; what has not begun by then is not begun
    restores: int = 1  # backups that are put back meanwhile
    seed: int = 20261128
    at_once: int = 48  # cases whose people are at work at the same time
    clocks: str = "8s,16s,24s"  # of the department whose cases are left alone
    patience: float = 720.0  # seconds of quiet, at most, in which everything has to end: filing waits up to 600
    triton: bool = False  # as the model server, which is a light one else
    upgrade_from: str = ""  # commit whose services are there until they are replaced by this checkout's


@dataclass
class Outcome:
    """What a run found, and its figures."""

    options: Options
    violations: list[Violation]
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not self.violations


Tell = Callable[[str, int, int], None]  # what is done, how much of it, of how much


class Run:
    def __init__(self, options: Options, directory: Path, tell: Tell) -> None:
        self._options, self._directory, self._tell = options, directory, tell
        self._journal = Journal(directory / "journal.jsonl")
        self._gate = Gate()
        self._gate.opened.set()
        self._ended = 0
        self._moved = asyncio.Event()
        self._deadline = 0.0
        self._redriven: Counter[str] = Counter()

    async def run(self) -> Outcome:
        options = self._options
        seed = self._directory / "stays"
        seed.mkdir()
        encounters = write_stays(seed, options.cases, most=MOST)
        (seed / "supervisors.json").write_text((SEED / "supervisors.json").read_text())
        contents = SMALL if options.cases > MANY else f"{SMALL},application/pdf"
        code = export(options.upgrade_from, self._directory / "before") if options.upgrade_from else ROOT
        self._stack = ProofStack(self._directory, seed, options.clocks, contents, with_triton=options.triton, code=code)
        numbers = (options.cases, options.kills, options.restores)
        schedule = faults.schedule(options.seed, *numbers, self._stack.names, upgrades=bool(options.upgrade_from))
        if LIBRARY is None:
            schedule = [fault for fault in schedule if fault.kind != "clock"]
        injector = faults.FaultInjector(self._stack, self._gate, self._journal, options.seed)
        await self._stack.start()
        try:
            started = time.monotonic()
            self._deadline = started + options.minutes * 60
            async with self._clients() as clients:
                async with asyncio.TaskGroup() as group:
                    group.create_task(injector.run(schedule, lambda: self._ended, self._wait))
                    group.create_task(self._all(clients, encounters))
                seconds = time.monotonic() - started
                found, evidence = await self._quiet()
            audit = await self._stack.verify()
        finally:
            await self._stack.stop()
            self._journal.close()
        if not audit["verified"]:
            found += [Violation("audit", "", str(fault)) for fault in audit["faults"]]
        found += [Violation("ends", "", f"{name} did not end within ten seconds") for name in injector.late_ends]
        return Outcome(options, found, self._figures(evidence, audit, injector, seconds))

    @contextlib.asynccontextmanager
    async def _clients(self) -> AsyncIterator[Encounters]:
        stack, journal, chance = self._stack, self._journal, Random(f"clients/{self._options.seed}")
        seeds = stack.server.secrets.seeds
        async with contextlib.AsyncExitStack() as exit_stack:

            def client(who: str, url: str) -> Client:
                made = Client(who, url, stack.tokens[who], journal, self._gate, chance, Odds())
                exit_stack.push_async_callback(made.close)
                return made

            people = {who: client(who, stack.urls["approval"]) for who in PEOPLE if who != "ingest"}
            engine = IntegrationEngine(stack.server.url, seeds["ingest"], stack.server.ca_file, journal, self._gate)
            await engine.start()
            exit_stack.push_async_callback(engine.close)
            clerk = EhrClerk(stack.ehr_url, journal, self._gate)
            exit_stack.push_async_callback(clerk.close)
            watch = CaseStates(stack.server.url, seeds["admin"], stack.server.ca_file)
            for work in (watch.run(), self._operator()):
                exit_stack.callback(asyncio.create_task(work).cancel)
            adt = AdtSender(stack.adt_port, lambda: datetime.now(UTC), journal, self._gate, chance, Odds())
            reporter = client("ingest", stack.urls["ingest"])
            yield Encounters(
                reporter,
                engine,
                lambda: adt if stack.takes_adt else None,
                lambda: stack.prepares,
                lambda: stack.rates,
                people,
                clerk,
                watch,
                journal,
            )

    async def _all(self, clients: Encounters, encounters: list[str]) -> None:
        """Every case through its plan, `at_once` of them at a time."""
        chosen = iter(zip(encounters, plans.choose(len(encounters), self._options.seed), strict=True))

        async def work() -> None:
            for encounter, plan in chosen:
                if time.monotonic() < self._deadline:
                    await self._one(clients, encounter, plan)
                self._ended += 1
                self._wake()
                self._tell("cases", self._ended, len(encounters))

        async with asyncio.TaskGroup() as group:
            for _ in range(self._options.at_once):
                group.create_task(work())

    async def _one(self, clients: Encounters, encounter: str, plan: plans.Plan) -> None:
        chance = Random(f"{self._options.seed}/{encounter}")
        stay = Encounter(clients, encounter, plan.department, chance, MARK)
        self._journal.note("plan", encounter=encounter, plan=plan.name, ends=plan.ends)
        limit = max(60.0, self._deadline - time.monotonic() + 300)
        try:
            async with asyncio.timeout(limit):
                await plan.act(stay)
        except UnexpectedAnswer as answer:
            self._journal.note("unexpected", case=stay.case, plan=plan.name, what=str(answer))
        except TimeoutError:
            self._journal.note("unexpected", case=stay.case, plan=plan.name, what="it came to no end")
        except Exception as error:  # noqa: BLE001 - a client that fails is a finding, and does not end the run
            what = "".join(traceback.format_exception(error)[-2:])
            self._journal.note("unexpected", case=stay.case, plan=plan.name, what=what)

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _wait(self) -> None:
        await self._moved.wait()

    async def _operator(self) -> None:
        """Puts back to work what used up its attempts while everything was hurt."""
        tries: Counter[int] = Counter()
        following = 1
        while True:
            await asyncio.sleep(REDRIVE_EVERY)
            with contextlib.suppress(Exception):  # the server was killed just now
                for letter in await self._letters(following):
                    tries[letter.sequence] += 1
                    if await self._redrive(letter) or tries[letter.sequence] == TRIES:
                        following = letter.sequence + 1

    async def _letters(self, following: int) -> list[Message]:
        server = self._stack.server
        async with streams(server.url, server.secrets.seeds["admin"], server.ca_file) as read:
            return await read.page("DEADLETTER", following)

    async def _redrive(self, letter: Message) -> bool:
        """Whether nothing is left to be done about it; what says what was done about others is none."""
        _, about, consumer = letter.subject.split(".")
        if about in ("redriven", "discarded"):
            return True
        try:
            async with self._gate.through():
                words = ("dead-letters", "redrive", str(letter.sequence), "--by", "operator")
                await self._stack.command(*words, user="operator")
        except RuntimeError:
            return False
        self._redriven[consumer] += 1
        self._journal.note("operator", what="redrive", consumer=consumer, sequence=letter.sequence)
        return True

    async def _quiet(self) -> tuple[list[Violation], Evidence]:
        """Nothing is hurt any more: what the checker finds once everything has come to its end, or time is up."""
        places = EvidenceSources(
            self._stack.server.url,
            self._stack.server.secrets.seeds["admin"],
            self._stack.ehr_url,
            self._journal.file,
            sorted(self._stack.logs.iterdir()),
            self._stack.server.ca_file,
        )
        until = time.monotonic() + self._options.patience
        while True:
            self._journal.note("end")
            evidence = await collect(places, (*MARKS, MARK))
            found = check(evidence)
            if not found or time.monotonic() > until:
                return found, evidence
            most = round(self._options.patience)
            self._tell(f"{len(found)} things have not come to their end", most - round(until - time.monotonic()), most)
            await asyncio.sleep(3)

    def _figures(
        self, evidence: Evidence, audit: dict[str, Any], injector: faults.FaultInjector, seconds: float
    ) -> dict[str, Any]:
        sent = [entry for entry in evidence.journal if entry["kind"] in SENT]
        names = Counter(event.name for events in evidence.cases.values() for event in events)
        return {
            "cases": len(evidence.cases),
            "seconds": round(seconds, 1),
            "cases_per_second": round(self._ended / seconds, 2),
            "events": sum(map(len, evidence.cases.values())),
            "documents": sum(map(len, evidence.documents.values())),
            "escalations": names["escalated"],
            "prepared": names["prepared"],
            "requests": len(sent),
            "answers_lost": sum(entry["answer"] in ("lost", "busy") for entry in sent),
            "probes": sum(1 for _ in evidence.entries("probe")),
            "redriven": dict(self._redriven),
            "faults": dict(sorted(injector.done.items())),
            "killed": dict(sorted(injector.killed.items())),
            "checkpoints": audit.get("checkpoints", 0),
        }


async def prove(options: Options, directory: Path, tell: Tell = lambda *_: None) -> Outcome:
    """Run the proof in `directory`, which has to be empty; everything stays there."""
    return await Run(options, directory, tell).run()
