"""A draft on a terminal."""

import io
from typing import Any

from rich.console import Console

from cli.draft_view import PENDING, pending, print_draft
from services.drafter import facts
from services.drafter.extract import read_stay
from shared.contracts.draft import DocumentPart, Fact, FactGroup, OpenPoint
from tests.support.ehr import client, sandbox, stays
from tests.support.examples import draft

MEDICINES = FactGroup(
    title="Medication reconciliation",
    columns=("Medicine", "Dose", "Change"),
    facts=(
        Fact(text="Lisinopril 10 mg — new", source="MedicationRequest/m1", cells=("Lisinopril", "10 mg", "new")),
        Fact(text="Take [none] of the others", source="MedicationRequest/m2"),
    ),
)
LATE = FactGroup(title=PENDING, facts=(Fact(text="Blood culture (preliminary)", source="DiagnosticReport/r1"),))
NOTHING_LATE = FactGroup(title=PENDING, facts=(Fact(text="None recorded", source=""),))


def view(*groups: FactGroup, points: tuple[str, ...] = (), text: str = "DISCHARGE SUMMARY\n") -> dict[str, Any]:
    part = DocumentPart(code="procedures-and-treatment", title="Treatment", groups=groups)
    points_ = tuple(OpenPoint(text=point) for point in points)
    found: dict[str, Any] = (
        draft(text).model_copy(update={"parts": (part,), "open_points": points_}).model_dump(mode="json")
    )
    return found


def printed(shown: dict[str, Any]) -> str:
    out = io.StringIO()
    print_draft(Console(file=out, width=100), shown)
    return out.getvalue()


def test_what_to_look_at_comes_before_the_document_each_under_its_heading() -> None:
    said = printed(view(MEDICINES, LATE, points=("No follow-up visit is recorded: arrange or confirm",)))
    places = [
        said.index(words)
        for words in (
            "Medication reconciliation",
            PENDING,
            "Blood culture (preliminary)",
            "Open points",
            "No follow-up visit is recorded",
            "DISCHARGE SUMMARY",
        )
    ]
    assert places == sorted(places)
    row = next(line for line in said.splitlines() if "Lisinopril" in line)
    assert [cell.strip() for cell in row.strip("│ ").split("│")] == ["Lisinopril", "10 mg", "new"]


def test_a_line_without_cells_is_in_the_table_all_the_same() -> None:
    assert "Take [none] of the others" in " ".join(printed(view(MEDICINES)).split())


def test_there_is_no_heading_over_nothing() -> None:
    said = printed(view(NOTHING_LATE))
    assert PENDING not in said
    assert "Open points" not in said
    assert pending(view(NOTHING_LATE)) == []
    assert pending(view(LATE)) == ["Blood culture (preliminary)"]


async def test_the_drafter_gives_pending_results_the_heading_that_is_looked_for() -> None:
    # The first stay of the demo has a test whose result has not come.
    context = await read_stay(client(sandbox()), stays()[0], occurred_at=None, attending=None, zone=None)
    shown = {"parts": [part.model_dump(mode="json") for part in facts.render(context)]}
    assert len(pending(shown)) == 1


def test_brackets_in_the_record_are_text() -> None:
    said = printed(view(points=("Ask about [red]wine[/]",), text="[bold]Not markup[/x]\n"))
    assert "Ask about [red]wine[/]" in said
    assert "[bold]Not markup[/x]" in said
