"""Users of the demo: on a stack with synthetic patients, anyone can sign in as any of them."""

from collections import defaultdict

from sandbox_ehr.seed import demo_encounters
from sandbox_ehr.store import Store
from shared.clinical.elements import person_name
from shared.runtime.authentication import Caller, Role

STAFF: tuple[tuple[Role, str], ...] = (
    ("operator", "Operator of the platform"),
    ("auditor", "Auditor"),
    ("editor", "Editor of the knowledge base"),
    ("engineer", "Engineer of drafters"),
)


def demo_users(store: Store) -> list[Caller]:
    """Return the demo encounters' attending physicians, their departments' supervisors, and who runs the stack."""
    names = {
        str(item["id"]): person_name(item, prefixes=True) or "" for item in store.candidates("Practitioner", None, None)
    }
    departments: defaultdict[str, set[str]] = defaultdict(set)
    for stay in demo_encounters():
        departments[stay.attending].add(stay.department)
    physicians = [
        Caller(
            subject=reference.removeprefix("Practitioner/").lower(),
            role="physician",
            practitioner=reference,
            name=names.get(reference.removeprefix("Practitioner/")) or None,
            departments=tuple(sorted(found)),
            method="demo",
        )
        for reference, found in sorted(departments.items())
    ]
    supervisors = [
        Caller(
            subject=f"supervisor-{department}",
            role="supervisor",
            practitioner=f"Practitioner/supervisor-{department}",
            name=f"Supervisor, {department.replace('-', ' ')}",
            departments=(department,),
            method="demo",
        )
        for department in sorted(set().union(*departments.values()))
    ]
    return (
        physicians + supervisors + [Caller(subject=role, role=role, name=name, method="demo") for role, name in STAFF]
    )
