"""What the doctor says about the nightly census."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.doctor import census
from sandbox_ehr.quirks import Quirks
from services.ingest.settings import CensusSettings
from shared.runtime.checks.findings import Group
from tests.support.ehr import client, sandbox, stays

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
QUERY = "status=in-progress&class=IMP"


def settings(query: str = QUERY, **more: Any) -> CensusSettings:
    return CensusSettings(departments={"cardiology": query}, **more)


def ongoing(id: str, end: datetime | None = None) -> dict[str, Any]:
    period = {"start": "2026-11-20T08:00:00Z"} | ({"end": end.isoformat()} if end else {})
    stay = {"resourceType": "Encounter", "id": id, "status": "in-progress", "class": {"code": "IMP"}}
    return stay | {"period": period}


def lines(group: Group) -> list[str]:
    return [f"{item.level} {item.what}: {item.says}" for item in group.found]


@pytest.fixture
def group() -> Group:
    return Group("x")


@pytest.mark.parametrize(
    ("found", "more", "expected"),
    [
        (
            [ongoing("e1", NOW + timedelta(days=1)), ongoing("e2")],
            {},
            "ok census of cardiology: 2 stays would be prepared now; 1 of 2 state a planned end",
        ),
        (
            [ongoing("e1") | {"status": "finished"}, ongoing("e2") | {"class": {"code": "AMB"}}],
            {},
            "warning census of cardiology: of 2 Encounters none is of an inpatient in progress",
        ),
        (
            [ongoing("e1"), ongoing("e2", NOW + timedelta(days=5))],
            {"planned_within": timedelta(days=2)},
            "warning census of cardiology: 2 stays go on, and none of their Encounters plans an end in time: nothing "
            "is prepared",
        ),
        (
            [ongoing("e1"), ongoing("e2"), ongoing("e3")],
            {"tokens": 6000, "tokens_per_stay": 3000},
            "warning census of cardiology: 3 stays would be prepared, 1 of them without the model, beyond the budget "
            "of tokens",
        ),
        (
            [ongoing("e1")],
            {"tokens": 0},
            "ok census of cardiology: 1 stays would be prepared now; 0 of 1 state a planned end",
        ),
    ],
)
def test_it_says_what_would_be_prepared(
    group: Group, found: list[dict[str, Any]], more: dict[str, Any], expected: str
) -> None:
    census.assess_stays(group, "cardiology", found, settings(**more), NOW)
    assert lines(group) == [expected]


@pytest.mark.parametrize(
    ("tokens", "per_stay", "level", "words"),
    [
        (100_000, 3_000, "ok", "33 stays of a department and night"),
        (0, 3_000, "ok", "composed without the model"),
        (2_999, 3_000, "warning", "less than one stay is allotted"),
        (100_000, 100, "warning", "less than any prompt needs"),
    ],
)
def test_a_budget_by_which_the_model_is_never_asked_is_named(
    group: Group, tokens: int, per_stay: int, level: str, words: str
) -> None:
    census.assess_budget(group, settings(tokens=tokens, tokens_per_stay=per_stay))
    (finding,) = group.found
    assert (finding.level, words in finding.says) == (level, True)


def test_a_timer_that_is_missing_or_overdue_is_named(group: Group) -> None:
    due = {"surgery": NOW + timedelta(hours=13), "oncology": NOW - timedelta(hours=11)}
    census.assess_timers(group, due, settings(), NOW)
    assert lines(group) == [
        "warning census of cardiology: ingest has set no timer: it does not run",
        "warning census of oncology: it was due at 2026-11-29 01:00 UTC and has not run",
        "ok census of surgery: ingest runs it next at 2026-11-30 01:00 UTC; its search is not checked, as "
        "COUNTERSIGN_CENSUS_DEPARTMENTS is not set here",
    ]
    census.assess_timers(again := Group("x"), {"cardiology": NOW}, settings(), NOW)
    assert lines(again) == ["ok census of cardiology: it runs next at 2026-11-29 12:00 UTC"]
    census.assess_timers(none := Group("x"), {}, CensusSettings(), NOW)
    assert none.found == []


async def searched(group: Group, query: str, quirks: Quirks | None = None) -> list[str]:
    ehr = sandbox(quirks=quirks)
    ehr.store.put(ongoing(stays()[0]))
    found = client(ehr)
    await census.check_search(group, found, await found.capabilities(), settings(query), NOW)
    assert group.found.pop(0).what == "census budget"
    return lines(group)


async def test_the_search_is_made_as_the_census_makes_it(group: Group) -> None:
    assert await searched(group, QUERY) == [
        "ok census of cardiology: 1 stays would be prepared now; 0 of 1 state a planned end"
    ]


async def test_a_parameter_that_the_server_does_not_state_is_a_fault(group: Group) -> None:
    (line,) = await searched(group, f"{QUERY}&episode-of-care=1")
    assert line.startswith("fault census of cardiology: the EHR does not state that Encounters can be searched by")
    assert "episode-of-care" in line
    (line,) = await searched(Group("x"), QUERY, Quirks(keyed_encounter_search=True))  # as Oracle Health
    assert "by status, class: it may return all of them" in line
    assert (await searched(Group("x"), "_count=5&status=in-progress"))[0].startswith("ok")
    assert (await searched(Group("x"), "cardiology"))[0] == ("fault census of cardiology: it has no search parameters")


async def test_a_search_that_is_refused_is_a_fault(group: Group) -> None:
    (line,) = await searched(group, QUERY, Quirks(refused_searches={"Encounter": 403}))
    assert line.startswith("fault census of cardiology: the EHR cannot be searched: ")


async def test_without_a_census_nothing_is_said(group: Group) -> None:
    found = client(sandbox())
    await census.check_search(group, found, await found.capabilities(), CensusSettings(), NOW)
    assert group.found == []
