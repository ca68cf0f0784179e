"""Absences: which counts, who covers, what may be set."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.approval.absences.errors import AbsenceRefusedError
from services.approval.absences.rules import KEPT, LONGEST, Absence, absence_id, added, owner_of, removed
from tests.support.examples import T0

DAY = timedelta(days=1)


def absence(
    absent: str = "a", cover: str = "b", start: timedelta = timedelta(), end: timedelta = DAY, **more: object
) -> Absence:
    fields = {
        "department": "cardiology",
        "absent": absent,
        "cover": cover,
        "starts_at": T0 + start,
        "ends_at": T0 + end,
    }
    id = absence_id("cardiology", absent, cover, T0 + start, T0 + end)
    return Absence.model_validate(fields | {"id": id, "created_at": T0, "created_by": "boss"} | more)


def test_an_absence_counts_from_its_start_until_its_end() -> None:
    moment = timedelta(microseconds=1)
    item = absence()
    times = (T0 - moment, T0, T0 + DAY - moment, T0 + DAY)
    assert [item.state(time) for time in times] == ["upcoming", "current", "current", "ended"]
    assert [owner_of([item], "a", time) for time in times] == ["a", "b", "b", "a"]
    assert owner_of([item], "c", T0) == "c"
    assert owner_of([item], None, T0) is None


def test_a_cover_who_is_away_is_covered_too_and_a_circle_goes_to_the_attending() -> None:
    row = [absence("a", "b"), absence("b", "c")]
    assert owner_of(row, "a", T0) == "c"
    assert owner_of([*row, absence("c", "a")], "a", T0) == "a"
    assert owner_of([*row, absence("c", "b")], "a", T0) == "a"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"))))
def test_every_review_gets_an_owner(pairs: list[tuple[str, str]]) -> None:
    assert owner_of([absence(*pair) for pair in pairs], "a", T0) in set("abcd")


def test_the_same_absence_is_added_once_and_again_after_it_was_removed() -> None:
    items = added((), absence(), T0)
    assert added(items, absence(created_by="other"), T0) == items
    gone = removed(items, items[0].id, "boss", T0)
    assert (gone[0].state(T0), gone[0].removed_by) == ("removed", "boss")
    assert owner_of(gone, "a", T0) == "a"
    assert removed(gone, items[0].id, "other", T0 + DAY) == gone
    (again,) = added(gone, absence(), T0)
    assert again.state(T0) == "current"


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (absence("a", "a"), "same-person"),
        (absence(end=timedelta()), "period"),
        (absence(end=LONGEST + DAY), "period"),
        (absence(start=-2 * DAY, end=-DAY), "period"),
        (absence("x", start=DAY - timedelta(seconds=1), end=2 * DAY), "overlaps"),
    ],
)
def test_what_cannot_be_set(new: Absence, code: str) -> None:
    with pytest.raises(AbsenceRefusedError) as refused:
        added((absence("x"),), new, T0)
    assert refused.value.code == code


def test_the_next_absence_may_begin_when_one_ends_and_old_ones_are_forgotten() -> None:
    items = added((absence(),), absence(start=DAY, end=2 * DAY), T0)
    assert len(items) == 2
    later = T0 + DAY + KEPT
    assert added(items, absence(start=KEPT, end=KEPT + 3 * DAY), later)[0].starts_at == T0 + DAY


def test_of_an_ended_absence_nothing_is_removed() -> None:
    items = (absence(),)
    assert removed(items, items[0].id, "boss", T0 + DAY) == items
