"""Arrange groups of facts into the parts of a kind of document. Pure.

Groups that a kind does not name stay in their default part; omitted groups are listed beside the document.
"""

from collections.abc import Iterable, Iterator

from services.drafter.kinds import required_elements
from services.drafter.kinds.declaration import PartDeclaration
from services.drafter.kinds.fact_groups import REQUIRED_ELEMENTS_GROUP, group_name
from services.drafter.kinds.kind import KindDefinition
from shared.contracts.context import EncounterContext
from shared.contracts.draft import DocumentPart, Fact, FactGroup

NOTHING_RECORDED = Fact(text="None recorded", source="")
ELEMENTS_TITLE = "Required elements"


def arrange_parts(
    rendered: Iterable[DocumentPart], kind: KindDefinition, context: EncounterContext
) -> tuple[DocumentPart, ...]:
    """Return the parts of `kind`, from the default parts of the record."""
    own = {part.code: part for part in rendered}
    codes = {part.code for part in kind.declared.parts}
    # A group whose part the kind has not, and that it does not name, is not lost: it stands with the course.
    rest = kind.part_of("hospital-course") or ""
    groups = [
        (code if code in codes else rest, group_name(group.title), group)
        for code, part in own.items()
        for group in part.groups
    ]
    if REQUIRED_ELEMENTS_GROUP in kind.declared.placed:
        found = tuple(required_elements.element_facts(kind, context)) or (NOTHING_RECORDED,)
        groups.append(("", REQUIRED_ELEMENTS_GROUP, FactGroup(title=ELEMENTS_TITLE, facts=found)))
    return tuple(_part(declared, own.get(declared.code), groups, kind) for declared in kind.declared.parts)


def _part(
    declared: PartDeclaration, own: DocumentPart | None, groups: list[tuple[str, str, FactGroup]], kind: KindDefinition
) -> DocumentPart:
    title = declared.title or (own.title if own else declared.code)
    chosen = tuple(_with_title(group, name, kind) for name, group in _select_groups(declared, groups, kind))
    return DocumentPart(
        code=declared.code,
        title=title,
        groups=chosen or (FactGroup(title=empty_group_title(declared), facts=(NOTHING_RECORDED,)),),
        required=declared.required,
        section=declared.section,
    )


def empty_group_title(declared: PartDeclaration) -> str:
    """Return the title of a part without groups: an empty part cannot be signed."""
    return "Entries" if declared.title is None else f"Entries of {declared.title.lower()}"


def _select_groups(
    declared: PartDeclaration, groups: list[tuple[str, str, FactGroup]], kind: KindDefinition
) -> Iterator[tuple[str, FactGroup]]:
    """Yield the groups that the part names, in its order, then its own that no part names."""
    for wanted in declared.groups:
        yield from ((name, group) for _, name, group in groups if name == wanted)
    placed, omitted = kind.declared.placed, kind.declared.omit
    for code, name, group in groups:
        if code == declared.code and name not in placed and name not in omitted:
            yield name, group


def _with_title(group: FactGroup, name: str, kind: KindDefinition) -> FactGroup:
    title = kind.declared.titles.get(name)
    return group.model_copy(update={"title": title, "stands_for": group.title}) if title else group


def omitted_groups(rendered: Iterable[DocumentPart], kind: KindDefinition) -> tuple[str, ...]:
    """Return what the kind leaves out, in words."""
    return tuple(
        f"{group.title}: {count} {'entry' if count == 1 else 'entries'}, left out of the kind “{kind.type.title}”"
        for part in rendered
        for group in part.groups
        if group_name(group.title) in kind.declared.omit
        for count in [sum(bool(fact.source) for fact in group.facts)]
        if count
    )
