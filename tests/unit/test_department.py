"""A department's open reviews by attending and age, their selection and order."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.approval.department.rules import DAY, DAYS, NOBODY, ReviewSelection, age_of, groups, totals
from services.approval.projections.open_reviews import OpenReviewRow
from shared.contracts.envelope import CHAIN_START
from shared.contracts.subjects import CaseRef
from tests.support.examples import T0


def row(
    number: int = 1,
    waits: timedelta = timedelta(),
    level: int = 0,
    attending: str | None = "a",
    due: float | None = 1.0,
) -> OpenReviewRow:
    ref = CaseRef("cardiology", f"case-{number:03}")
    return OpenReviewRow(
        ref, T0 - waits, level, attending, attending, "Encounter/e", CHAIN_START, None, False, due, b"", (number,)
    )


def test_ages_end_where_they_say() -> None:
    moment = timedelta(microseconds=1)
    assert age_of(row(waits=DAY - moment), T0) == "day"
    assert age_of(row(waits=DAY), T0) == "days"
    assert age_of(row(waits=DAYS), T0) == "days"
    assert age_of(row(waits=DAYS + moment), T0) == "older"
    assert age_of(row(waits=moment, level=3), T0) == "taken-over"
    assert age_of(row(waits=DAYS + moment, level=2), T0) == "older"


def test_the_attending_keeps_a_review_that_was_taken_over() -> None:
    taken = row(1, DAYS * 3, level=3, attending="Practitioner/a")
    (group,) = groups([row(2, DAY, attending="Practitioner/a"), taken], T0)
    assert group.attending == "Practitioner/a"
    assert (group.counts["taken-over"], group.counts["days"], group.total) == (1, 1, 2)
    assert group.oldest is taken


@given(
    st.lists(
        st.builds(
            row,
            st.integers(0, 999),
            st.timedeltas(timedelta(), timedelta(days=9)),
            st.integers(0, 3),
            st.sampled_from(["a", "b", None]),
            st.one_of(st.none(), st.floats(0, 9)),
        )
    )
)
def test_every_review_is_in_one_group_and_one_age(rows: list[OpenReviewRow]) -> None:
    found = groups(rows, T0)
    assert totals(found).total() == len(rows)
    selected = [
        item
        for group in found
        for age in ("day", "days", "older", "taken-over")
        for item in ReviewSelection(group.attending or NOBODY, age).of(rows, T0)  # type: ignore[arg-type]
    ]
    assert sorted(map(id, selected)) == sorted(map(id, rows))
    assert [group.oldest.requested_at for group in found] == sorted(group.oldest.requested_at for group in found)


def test_the_next_deadline_comes_first_and_no_deadline_last() -> None:
    rows = [row(1, due=None), row(2, due=9.0), row(3, due=3.0)]
    assert [item.due for item in ReviewSelection(order="deadline").of(rows, T0)] == [3.0, 9.0, None]
    assert groups(rows, T0)[0].due == 3.0
