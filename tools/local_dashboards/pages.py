"""Grafana's dashboards as pages of our own, from the JSON that Grafana is provisioned with.

A page holds titles, sentences and queries; `assets/watch.js` asks Prometheus and draws.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tools.grafana.__main__ import FOLDER
from tools.grafana.panels import GPU_ONLY

ASSETS = Path(__file__).parent / "assets"
DYGRAPHS = ("dygraph.min.js", "dygraph.min.css")
HOME_PAGE = "cases"  # what `index.html` shows
RATE_INTERVAL = "1m"  # $__rate_interval: twelve reports of a stack that is watched
ALL_DEPARTMENTS = ".*"
NO_DATA = "no data yet"
NO_GPU = "no data: it needs a GPU"

Json = dict[str, Any]
_loader = PackageLoader("tools.local_dashboards", ".")
_templates = Environment(loader=_loader, autoescape=True, undefined=StrictUndefined)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `width`: of Grafana's 24 columns. `drawn`: what the script needs to ask for and to draw it."""

    title: str
    says: str
    kind: str  # "stat" or "timeseries"
    width: int
    empty: str
    drawn: Json


def without_variables(expr: str, department: str = ALL_DEPARTMENTS) -> str:
    """Return an expression without Grafana's variables."""
    return expr.replace("$__rate_interval", RATE_INTERVAL).replace("$department", department)


def panel(found: Json) -> Panel:
    """Convert a panel of Grafana's JSON. Raises ValueError if the page cannot draw it."""
    if found["type"] not in ("stat", "timeseries"):
        raise ValueError(f"{found['title']}: a page draws stat and timeseries, not {found['type']}")
    looks = found["fieldConfig"]["defaults"]
    drawn = {
        "queries": [
            {"expr": without_variables(target["expr"]), "legend": _legend(target["legendFormat"], found["title"])}
            for target in found["targets"]
        ],
        "unit": looks["unit"],
        "bars": looks.get("custom", {}).get("drawStyle") == "bars",
        "steps": looks.get("thresholds", {}).get("steps", []),
    }
    says = found["description"]
    empty = NO_GPU if says.startswith(GPU_ONLY) else NO_DATA
    return Panel(found["title"], says, found["type"], found["gridPos"]["w"], empty, drawn)


def _legend(format: str, title: str) -> str:
    return title if format == "__auto" else format


def page(name: str, boards: Sequence[tuple[str, Json]]) -> str:
    """Return the page of the dashboard `name`, one of `boards`, with links to the others."""
    board = dict(boards)[name]
    links = [(f"{other}.html", found["title"], other == name) for other, found in boards]
    return _templates.get_template("board.html").render(
        title=board["title"], says=board["description"], panels=[panel(item) for item in board["panels"]], links=links
    )


def write_pages(folder: Path, javascript: Path) -> None:
    """Write every page and its data, and dygraphs from `javascript`."""
    folder.mkdir(parents=True, exist_ok=True)
    boards = [(file.stem, json.loads(file.read_text())) for file in sorted(FOLDER.glob("*.json"))]
    boards.sort(key=lambda board: board[0] != HOME_PAGE)
    for name, _ in boards:
        (folder / f"{name}.html").write_text(page(name, boards))
    shutil.copy(folder / f"{HOME_PAGE}.html", folder / "index.html")
    for file in (*ASSETS.iterdir(), *(javascript / "dygraphs" / name for name in DYGRAPHS)):
        shutil.copy(file, folder)
