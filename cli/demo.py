"""`countersign demo`: refresh the knowledge base, then run one case from discharge to the verified document."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from cli.audit import VerificationReport, verify
from cli.client import Api
from cli.commands.drafters import drafters_table
from cli.commands.knowledge import wait_for_refresh
from cli.draft_view import print_draft
from cli.errors import CommandError
from cli.hl7.client import Target, send
from cli.stack.access import StackAccess
from cli.stack.embedded import StackOptions, running_stack
from cli.stack.ports import free_port
from sandbox_ehr.adt import discharge_message
from sandbox_ehr.seed import DemoEncounter, demo_encounters
from shared.contracts.draft import TO_BE_WRITTEN

STEP_TIMEOUT_S = 240.0  # for each step, including the model
POLL_INTERVAL_S = 0.1
ESCALATIONS = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))
EVENT_DESCRIPTIONS = {
    "discharged": "the discharge was received",
    "context-extracted": "the record was read from the EHR over FHIR",
    "drafted": "the language model wrote a draft; each sentence was checked against the record",
    "review-requested": "a Task is open in the EHR, the first escalation is scheduled",
    "approved": "the physician countersigned",
    "filed": "the document is in the EHR",
}

Case = dict[str, Any]


class Demo:
    """Runs the demo; prints the progress on `console` and returns the result as one object."""

    def __init__(self, console: Console, auto_approve: bool, model: str, data_dir: Path | None, port: int) -> None:
        self._console = console
        self._auto_approve = auto_approve
        self._model = model
        self._data_dir = data_dir
        self._port = port
        self._cited: list[str] = []
        self._open_points = 0
        self._cases = 0

    async def run(self) -> dict[str, Any]:
        """Run a whole case. Raises CommandError when a step takes too long."""
        started = time.monotonic()
        with ExitStack() as stack:
            directory = self._data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="countersign-")))
            options = StackOptions(
                directory.absolute(),
                self._port or free_port(),
                ESCALATIONS,
                drafter_model=self._model,
                hl7_port=free_port(),
            )
            with self._console.status("starting …") as status:
                show: Callable[[str], None] = lambda text: status.update(f"{text} …")  # noqa: E731
                async with running_stack(options, show) as access:
                    status.stop()
                    knowledge = await self._build_knowledge(access)
                    case, report = await self._follow_case(access, options.data_dir)
                    drafters = await self._drafters(access)
        result = {
            "case_id": case["case_id"],
            "events": [event["event"] for event in case["events"]],
            "cases": self._cases,
            "document_reference": case["document_reference"],
            "provenance": case["provenance"],
            "knowledge": knowledge,
            "cited": self._cited,
            "open_points": self._open_points,
            "audit": {"verified": report.verified, "events": report.events},
            "drafters": [{name: item[name] for name in ("document", "digest", "state")} for item in drafters],
            "seconds": round(time.monotonic() - started, 1),
        }
        self._console.print(
            f"[green]✔[/] {report.events} events, every digest verified against the Provenance in the EHR"
        )
        self._console.print("\n[bold]countersign drafters list[/]")
        self._console.print(drafters_table(drafters))
        return result

    async def _drafters(self, access: StackAccess) -> list[dict[str, Any]]:
        """Return the configurations that draft, of each kind of document."""
        operator = Api(access.base_url, access.tokens["operator"])
        try:
            found: list[dict[str, Any]] = (await operator("GET", "/v1/drafters"))["items"]
        finally:
            await operator.close()
        return found

    async def _build_knowledge(self, access: StackAccess) -> dict[str, Any]:
        """Refresh the knowledge base that the draft will cite, as every night does."""
        operator = Api(access.base_url, access.tokens["operator"])
        try:
            begun = await operator("POST", "/v1/knowledge/refreshes")
            found = await wait_for_refresh(operator, begun["refresh"])
        finally:
            await operator.close()
        if found["state"] not in ("promoted", "skipped"):
            raise CommandError(f"The knowledge base is {found['state']}: {found['reason']}.")
        if found["state"] == "promoted":
            self._console.print(
                f"[green]✔[/] knowledge base  {found['documents']['new']} synthetic documents, "
                f"{found['passages']} passages, MRR@10 {found['metrics']['mrr_at_10']:.2f} over "
                f"{found['metrics']['queries']} golden queries: version {found['version']} is live"
            )
        return {name: found[name] for name in ("state", "live_version", "passages", "metrics")}

    async def _follow_case(self, access: StackAccess, data_dir: Path) -> tuple[Case, VerificationReport]:
        physician = Api(access.base_url, access.tokens["physician"])
        engine = Api(access.base_url, access.tokens["ingest"])
        try:
            stay = next(iter(await undischarged_stays(engine)), None)
            if stay is None:
                raise CommandError("All demo patients were discharged already. Use an empty --data-dir.")
            self._console.print(f"[bold]{escape(stay.reason)}[/] (synthetic patient, {stay.department}) is discharged")
            case_id = await self._discharge(engine, access, stay)
            case = await self._until(physician, case_id, "awaiting-review")
            await self._review(physician, access, case)
            case = await self._until(physician, case["case_id"], "filed", printed=len(case["events"]))
            await self._count_cases(engine, stay.encounter)
            return case, await verify(data_dir, case["case_id"])
        finally:
            await physician.close()
            await engine.close()

    async def _discharge(self, engine: Api, access: StackAccess, stay: DemoEncounter) -> str:
        """Report the discharge by ADT and by HTTP, as hospitals with two feeds do. Returns the id of the one case."""
        target = Target("127.0.0.1", access.hl7_port, timeout=STEP_TIMEOUT_S)
        answers = [item async for item in send([await adt_message(access.ehr_url, stay)], target)]
        if answers[0]["answers"] != ["AA"]:
            raise CommandError("The ADT message was not acknowledged: see the logs in the data directory.")
        self._console.print("[green]✔[/] ADT^A03 by MLLP    stored, then acknowledged (AA)")
        report = {"encounter_id": stay.encounter, "department": stay.department, "attending": stay.attending}
        accepted = await engine("POST", "/v1/encounters/discharged", json=report)
        self._console.print(f"[green]✔[/] the same by HTTP    accepted for case {accepted['case_id']}")
        return str(accepted["case_id"])

    async def _count_cases(self, engine: Api, encounter: str) -> None:
        found = await reported_encounters(engine)
        self._cases = found.count(encounter)
        noun = "case" if self._cases == 1 else "cases"
        self._console.print(f"[green]✔[/] {self._cases} {noun} of the two reports")

    async def _review(self, physician: Api, access: StackAccess, case: Case) -> None:
        review = await physician("GET", f"/v1/reviews/{case['case_id']}")
        draft = review["draft"]
        print_draft(self._console, draft)
        self._console.print(narrative_summary(draft))
        self._open_points = len(draft["open_points"])
        self._print_passages(draft["knowledge"])
        for sentence in (item for item in draft["sentences"] if not item["supported"]):
            claims = ", ".join(f"{claim['kind']} “{claim['text']}”" for claim in sentence["unsupported"])
            self._console.print(f"[yellow]not in the record:[/] {escape(claims)} — {escape(sentence['text'])}")
        if not self._auto_approve:
            link = f"{access.base_url}/reviews/{case['case_id']}"
            signs = next((line for line in draft["text"].splitlines() if "Attending:" in line), "").strip(" -")
            self._console.print(f"\nReview and sign it: {link}\n  {signs}\n", soft_wrap=True)
            return
        await sign(physician, case["case_id"], draft)

    def _print_passages(self, knowledge: dict[str, Any] | None) -> None:
        for passage in (knowledge or {}).get("passages", []):
            heading = " › ".join([passage["title"], *passage["path"]])
            document = f"{passage['source']}/{passage['document']}, version {knowledge['version']}" if knowledge else ""
            self._cited.append(f"{passage['source']}/{passage['document']}")
            about = escape(f"general advice on {', '.join(passage['about'])}")
            self._console.print(f"[cyan]cited, {about}:[/] {escape(f'{heading} ({document})')}", highlight=False)

    async def _until(self, physician: Api, case_id: str, state: str, printed: int = 0) -> Case:
        """Wait for `state`, printing each event as it comes. Waiting for a person has no timeout."""
        deadline = time.monotonic() + STEP_TIMEOUT_S
        while True:
            case: Case = await physician("GET", f"/v1/cases/{case_id}")
            for event in case["events"][printed:]:
                self._console.print(f"[green]✔[/] {event['event']:18} {EVENT_DESCRIPTIONS.get(event['event'], '')}")
            printed = len(case["events"])
            if case["state"] == state:
                return case
            if case["state"] in ("failed", "closed", "withdrawn"):
                raise CommandError(f"The case is {case['state']}.")
            waits_for_person = state == "filed" and not self._auto_approve
            if time.monotonic() > deadline and not waits_for_person:
                raise CommandError(f"The case is {case['state']} after {STEP_TIMEOUT_S:.0f} s; {state} was expected.")
            await asyncio.sleep(POLL_INTERVAL_S)


async def adt_message(ehr_url: str, stay: DemoEncounter) -> bytes:
    """Return the ADT^A03 that the sandbox EHR sends for a stay."""
    async with httpx.AsyncClient(base_url=ehr_url, trust_env=False) as ehr:
        encounter = (await ehr.get(f"/Encounter/{stay.encounter}")).json()
        patient = (await ehr.get(f"/{encounter['subject']['reference']}")).json()
    now = datetime.now(UTC)
    return discharge_message(encounter, patient, stay.department, control_id=f"{now:%H%M%S%f}", recorded=now)


async def undischarged_stays(engine: Api) -> list[DemoEncounter]:
    """Return the encounters of the sandbox that were not discharged yet on this stack."""
    reported = await reported_encounters(engine)
    return [stay for stay in demo_encounters() if stay.encounter not in reported]


async def reported_encounters(engine: Api) -> list[str]:
    """Return the encounter of each case on this stack."""
    cases = {item["case_id"] for item in (await engine("GET", "/v1/cases", params={"limit": 200}))["items"]}
    return [
        str(event["detail"]["encounter_id"])
        for case in cases
        for event in (await engine("GET", f"/v1/cases/{case}"))["events"][:1]
    ]


def narrative_summary(draft: dict[str, Any]) -> str:
    """Describe how much of the narrative was composed by rules and how much the model added."""
    total, composed, dropped = len(draft["sentences"]), draft["composed"], draft["replaced"]
    noun = "sentence" if composed == 1 else "sentences"
    return (
        f"narrative: {composed} {noun} composed from the record, {total - composed} by the model, "
        f"{dropped} of the model's dropped"
    )


async def sign(physician: Api, case_id: str, draft: dict[str, Any]) -> None:
    """Countersign `draft`. What the record does not support is taken out before, and every open point is acknowledged,
    as a physician would.
    """
    text = draft["text"]
    for sentence in (item["text"] for item in draft["sentences"] if not item["supported"]):
        text = text.replace(sentence, "").replace("  \n", "")
    if draft["by_hand"]:
        text = text.replace(TO_BE_WRITTEN, "[Not written in this demo")
    body: dict[str, Any] = {"acknowledged": list(range(len(draft["open_points"])))}
    if text != draft["text"]:
        body["text"] = text
    headers = {"If-Match": f'"{draft["digest"]}"'}
    await physician("POST", f"/v1/reviews/{case_id}/approve", headers=headers, json=body)
