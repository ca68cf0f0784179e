"""`countersign document-kinds`: list the kinds of documents, and show which one an encounter gets."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.contexts import check_url, ensure_no_context
from cli.options import AsJson, DataDir, EhrUrl
from cli.output import emit, make_table, print_table
from cli.stack.access import default_data_dir, read_access

if TYPE_CHECKING:
    from services.drafter.kinds import KindRegistry
    from shared.contracts.context import EncounterContext

app = typer.Typer(no_args_is_help=True, help="List the kinds of documents, and show which one an encounter gets.")
Folder = Annotated[
    Path | None,
    typer.Option(
        "--kinds", envvar="COUNTERSIGN_DOCUMENT_KINDS", help="folder of kinds, in addition to those that ship"
    ),
]
EncounterId = Annotated[str, typer.Argument(metavar="ENCOUNTER", help="id of the encounter in the EHR")]
Department = Annotated[str | None, typer.Option("--department", help="department, for kinds whose rules ask for one")]


@app.command("list")
def list_kinds(folder: Folder = None, as_json: AsJson = False) -> None:
    """List every kind with its title, LOINC code, rules and required elements; report errors in declarations."""
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

    def show() -> None:
        table = make_table("kind", "title", "LOINC", "priority", "prompt", "requires")
        for item in found:
            cells = [str(item[name]) for name in ("kind", "title", "code", "priority", "prompt")]
            table.add_row(*cells, ", ".join(item["requires"]) or "-")
        print_table(table)

    emit(found, as_json, show)


@app.command("of", hidden=True, deprecated=True)  # the name until 0.2
@app.command("classify")
def classify(
    encounter: EncounterId,
    folder: Folder = None,
    department: Department = None,
    ehr_url: EhrUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show the kind that an encounter gets, why, and its open points. Reads the EHR; writes nothing."""
    kinds = _load(folder)
    if ehr_url is None:
        ensure_no_context(data_dir)
    base = ehr_url or read_access(data_dir or default_data_dir()).ehr_url
    context = asyncio.run(_extract(base, encounter, kinds, department))
    found = _describe(context, kinds)

    def show() -> None:
        print(f"{found['title']} ({found['kind']}): {found['why']}")
        for name in found["also"]:
            print(f"also: {name}")
        for point in found["open_points"]:
            print(f"  - {point}")

    emit(found, as_json, show)


def _load(folder: Path | None) -> "KindRegistry":
    from services.drafter.kinds import load_kinds

    return load_kinds(folder)


def _describe(context: "EncounterContext", kinds: "KindRegistry") -> dict[str, Any]:
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
    from shared.runtime.settings import EhrSettings
    from shared.runtime.time_zones import TimeZones

    ehr = EhrSettings(
        url=check_url(base, "--ehr-url")
    ).connect()  # the token, if the EHR requires one, is in the environment
    zone = TimeZones().of(department or "")
    try:
        return await read_stay(
            ehr, encounter, occurred_at=None, attending=None, zone=zone, kinds=kinds, department=department
        )
    finally:
        await ehr.close()
