"""Grafana's JSON as a page of our own."""

import json
from typing import Any

import pytest

from tools.grafana.__main__ import FOLDER
from tools.local_dashboards.pages import HOME_PAGE, page, panel


def of_grafana(**more: Any) -> dict[str, Any]:
    target = {"expr": 'sum(rate(x{d=~"$department"}[$__rate_interval]))', "legendFormat": "{{model}}"}
    return {
        "title": "Requests",
        "description": "By model.",
        "type": "timeseries",
        "gridPos": {"h": 8, "w": 12, "x": 0, "y": 4},
        "fieldConfig": {"defaults": {"unit": "reqps", "custom": {"drawStyle": "bars"}}},
        "targets": [target],
    } | more


def test_a_panel_keeps_its_words_its_width_and_its_queries() -> None:
    found = panel(of_grafana())
    assert (found.title, found.says, found.kind, found.width) == ("Requests", "By model.", "timeseries", 12)
    assert found.drawn["queries"] == [{"expr": 'sum(rate(x{d=~".*"}[1m]))', "legend": "{{model}}"}]
    assert (found.drawn["unit"], found.drawn["bars"]) == ("reqps", True)


def test_a_number_has_its_thresholds_and_its_title_for_a_name() -> None:
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 1}]
    looks = {"defaults": {"unit": "short", "thresholds": {"mode": "absolute", "steps": steps}}}
    target = {"expr": "x", "legendFormat": "__auto"}
    found = panel(of_grafana(type="stat", fieldConfig=looks, targets=[target]))
    assert found.drawn == {
        "queries": [{"expr": "x", "legend": "Requests"}],
        "unit": "short",
        "bars": False,
        "steps": steps,
    }


def test_without_data_a_panel_says_so_and_one_for_a_gpu_says_why() -> None:
    assert panel(of_grafana()).empty == "no data yet"
    assert panel(of_grafana(description="GPU only. What is in use.")).empty == "no data: it needs a GPU"


def test_what_a_page_cannot_draw_is_told() -> None:
    with pytest.raises(ValueError, match="Requests: a page draws stat and timeseries, not heatmap"):
        panel(of_grafana(type="heatmap"))


def test_a_page_has_every_panel_and_links_to_the_other_boards() -> None:
    boards = [(file.stem, json.loads(file.read_text())) for file in sorted(FOLDER.glob("*.json"))]
    written = page(HOME_PAGE, boards)
    assert written.count('<section class="panel') == len(dict(boards)[HOME_PAGE]["panels"])
    for name, board in boards:
        assert f'<a href="{name}.html"' in written
        assert board["title"] in written


def test_words_of_a_dashboard_are_words_on_the_page() -> None:
    board = {"title": "<b>", "description": "&", "panels": [of_grafana(title="<script>", targets=[])]}
    written = page("x", [("x", board)])
    assert "<script>" not in written
    assert "&lt;script&gt;" in written
