"""Who sees which area of the pages, and where they start."""

from shared.runtime.authentication import ROLES, Caller
from shared.web.navigation import AREAS, PERSONS, areas_of, start_page


def test_a_physician_starts_at_the_inbox() -> None:
    assert start_page(Caller(subject="p", role="physician")) == "/"


def test_an_auditor_starts_at_the_access_log() -> None:
    assert start_page(Caller(subject="a", role="auditor")) == "/access"


def test_a_machine_has_no_page() -> None:
    assert start_page(Caller(subject="m", role="ingest")) is None
    assert areas_of(Caller(subject="m", role="ingest")) == []


def test_a_person_with_several_roles_sees_the_areas_of_all_and_starts_at_that_of_the_first() -> None:
    both = Caller(subject="b", role="operator", also=("physician",))
    assert {area.path for area in areas_of(both)} >= {"/"}
    assert set(areas_of(both)) == {area for area in AREAS if {"operator", "physician"} & set(area.roles)}


def test_whoever_acts_in_one_role_still_sees_the_areas_of_all() -> None:
    both = Caller(subject="b", role="physician", also=("engineer",))
    acting = both.in_role("engineer")
    assert acting is not None
    assert (acting.role, areas_of(acting)) == ("engineer", areas_of(both))


def test_every_role_but_that_of_machines_is_a_persons() -> None:
    assert set(PERSONS) == set(ROLES) - {"ingest"}
    assert len({area.path for area in AREAS}) == len(AREAS)
