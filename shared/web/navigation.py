"""The areas of the pages, who sees which, and where a person starts. Pure.

Services serve areas under one origin, so links are paths: `docs/how-to/reverse-proxy.md`.
"""

from typing import NamedTuple

from shared.runtime.authentication import Caller, Role


class Area(NamedTuple):
    """Pages about one subject. `path` is that of its first page."""

    title: str
    path: str
    roles: tuple[Role, ...]


# In the order of the navigation. A person starts at the first area of their first role.
AREAS = (
    Area("Reviews", "/", ("physician", "supervisor")),
    Area("Department", "/department", ("supervisor",)),
    Area("Access log", "/access", ("auditor",)),
    Area("Verification", "/verification", ("auditor",)),
    Area("Cases", "/cases", ("operator", "auditor")),
    Area("Dead letters", "/dead-letters", ("operator",)),
    Area("Alerts", "/alerts", ("operator", "auditor")),
    Area("System", "/system", ("operator", "auditor")),
    Area("Drafters", "/drafters", ("engineer", "operator", "auditor")),
    Area("Knowledge base", "/knowledge", ("editor", "operator", "auditor", "engineer", "supervisor")),
)
# Roles of people; `ingest` is a machine's.
PERSONS: tuple[Role, ...] = ("physician", "supervisor", "operator", "auditor", "editor", "engineer")


def areas_of(caller: Caller) -> list[Area]:
    """Return the areas that the caller's roles open, those of all of its roles together."""
    return [area for area in AREAS if set(area.roles) & set(caller.roles)]


def start_page(caller: Caller) -> str | None:
    """Return the path at which a person starts after the sign-in; None where there is no page for its roles."""
    return next((area.path for role in caller.roles for area in AREAS if role in area.roles), None)
