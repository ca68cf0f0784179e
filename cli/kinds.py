"""`countersign kinds`: which kinds of documents there are, and which one a stay gets."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cli.cases import make_table
from cli.errors import CommandError
from cli.stack.access import default_data_dir, read_access

if TYPE_CHECKING:
    from services.drafter.kinds import KindRegistry
    from shared.contracts.context import EncounterContext

app = typer.Typer(no_args_is_help=True, help="Look at kinds of documents, and at the one that a stay gets.")
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="the stack's data directory")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
Folder = Annotated[
    Path | None,
    typer.Option("--kinds", envvar="COUNTERSIGN_DOCUMENT_KINDS", help="a folder of kinds, besides those that ship"),
]
EhrUrl = Annotated[str | None, typer.Option("--ehr-url", help="FHIR R4 base; default: the running stack's")]
EncounterId = Annotated[str, typer.Argument(metavar="ENCOUNTER", help="id of the encounter in the EHR")]
Department = Annotated[str | None, typer.Option("--department", help="for kinds that ask for one")]


@app.command("list")
def list_kinds(folder: Folder = None, as_json: AsJson = False) -> None:
    """Every kind: its title, its LOINC code, how it is chosen, what it requires. Says what is declared wrongly."""
    kinds = _load(folder)
    found: list[dict[str, Any]] = [
        {
            "kind": kind.name,
            "title": kind.declared.title,
            "code": kind.declared.code,
            "priority": kind.declared.priority,
            "rules": len(kind.declared.when),
            "prompt": f"{kind.prompt.stamp.name} {kind.prompt.stamp.version}",
            "model": kind.declared.model,
            "policy": kind.declared.policy,
            "requires": [element.name for element in kind.declared.requires],
            "digest": kind.digest,
        }
        for kind in sorted(kinds.all.values(), key=lambda kind: (-kind.declared.priority, kind.name))
    ]
    if as_json:
        print(json.dumps(found))
        return
    table = make_table("kind", "title", "LOINC", "priority", "prompt", "requires")
    for item in found:
        words = [str(item[name]) for name in ("kind", "title", "code", "priority", "prompt")]
        table.add_row(*words, ", ".join(item["requires"]) or "-")
    Console().print(table)


@app.command("of")
def kind_of(
    encounter: EncounterId,
    folder: Folder = None,
    department: Department = None,
    ehr_url: EhrUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """The kind that a stay gets, why, and the open points of its draft. Reads the EHR; drafts and writes nothing."""
    kinds = _load(folder)
    base = ehr_url or read_access(data_dir or default_data_dir()).ehr_url
    context = asyncio.run(_extract(base, encounter, kinds, department))
    found = _told(context, kinds)
    if as_json:
        print(json.dumps(found))
        return
    print(f"{found['title']} ({found['kind']}): {found['why']}")
    for name in found["also"]:
        print(f"also: {name}")
    for point in found["open_points"]:
        print(f"  - {point}")


def _load(folder: Path | None) -> "KindRegistry":
    from services.drafter.kinds import load_kinds

    return load_kinds(folder)


def _told(context: "EncounterContext", kinds: "KindRegistry") -> dict[str, Any]:
    kind = kinds.of(context.kind, died=context.died)
    return {
        "kind": kind.name,
        "title": kind.type.title,
        "code": kind.type.code,
        "why": context.why,
        "also": list(context.also),
        "open_points": [point.text for point in context.open_points],
    }


async def _extract(base: str, encounter: str, kinds: "KindRegistry", department: str | None) -> "EncounterContext":
    from services.drafter.extract import read_stay
    from shared.runtime.settings import EhrSettings, TimeZones

    if not base.startswith(("http://", "https://")):
        raise CommandError("--ehr-url must be an http or https address.")
    ehr = EhrSettings(url=base).connect()  # the token, where the EHR wants one, is in the environment
    zone = TimeZones().of(department or "")
    try:
        return await read_stay(
            ehr, encounter, occurred_at=None, attending=None, zone=zone, kinds=kinds, department=department
        )
    finally:
        await ehr.close()
