"""What a kind of document declares in its `kind.toml`. Explained in `docs/how-to/document-kinds.md`."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.drafter.kinds import catalogue, places
from shared.contracts.context import EncounterContext
from shared.contracts.draft import NAME, DocumentType, LoincCode, Narrative, PartCode

Policy = Literal["strict", "marked"]
Name = Annotated[str, StringConstraints(pattern=NAME, max_length=64)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
# Headings are found again in the signed text: one line, without a colon or the mark of a list.
Title = Annotated[str, StringConstraints(pattern=r"^\p{Lu}[^\n:]{1,78}[^\s:]$")]

# Lists of the record in which a required element may stand.
LISTS: frozenset[str] = frozenset(
    {
        "reasons", "diagnoses", "family_history", "procedures", "devices", "immunizations", "allergies",
        "home_medicines", "hospital_medicines", "given_medicines", "discharge_medicines", "other_medicines", "labs",
        "vitals", "microbiology", "reports", "pending", "function", "observed", "directives", "care_plans", "diet",
        "goals", "team", "services", "follow_up", "disposition", "destination",
    }
)  # fmt: skip
assert EncounterContext.model_fields.keys() >= LISTS  # noqa: S101 - a list that is renamed has to be renamed here
HOMES: dict[str, Narrative] = {
    "procedures-and-treatment": "hospital-course",
    "patient-and-family-instructions": "patient-instructions",
}


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from None
    return value


def _place(value: str) -> str:
    if value not in places.names():
        raise ValueError(f"is not one of {', '.join(sorted(places.names()))}")
    return value


def _group(value: str) -> str:
    if value not in catalogue.NAMES and value != catalogue.ELEMENTS:
        raise ValueError(f"{value!r} is no group of facts")
    return value


def _list(value: str) -> str:
    if value not in LISTS:
        raise ValueError(f"{value!r} is not one of {', '.join(sorted(LISTS))}")
    return value


Expression = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_expression)]
Place = Annotated[str, AfterValidator(_place)]
GroupName = Annotated[str, AfterValidator(_group)]
ListName = Annotated[str, AfterValidator(_list)]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Closed):
    """A stay is of the kind where every condition of a rule holds; of several values one is enough.

    What the record does not say holds no condition.
    """

    died: bool = False  # a rule without it is for the living
    disposition: tuple[Place, ...] = ()
    disposition_words: Expression | None = None
    disposition_codes: tuple[str, ...] = ()  # `system|code`, of a table of the hospital's own
    encounter_class: tuple[str, ...] = ()
    named: Expression | None = None  # what class, type and service of the encounter are called
    began: tuple[Place, ...] = ()
    oldest_days: int | None = Field(default=None, ge=0)  # age at the admission
    shortest_hours: float | None = Field(default=None, ge=0)
    longest_hours: float | None = Field(default=None, gt=0)
    departments: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _asks(self) -> Self:
        stated = [getattr(self, name) for name in type(self).model_fields]
        if all(value is None or value is False or value == () for value in stated):
            raise ValueError("has no condition: it would take every stay")
        return self


class PartDeclaration(_Closed):
    """A part. Left out: `title` is that of the record's own part, `groups` are those that stand in it by themselves."""

    code: PartCode
    title: Title | None = None
    groups: tuple[GroupName, ...] = ()
    narrative: Narrative | None = None
    required: bool = True
    section: LoincCode | None = None

    @property
    def holds(self) -> Narrative | None:
        """The narrative that stands in the part."""
        return self.narrative or HOMES.get(self.code)


class Element(_Closed):
    """Something that a document of the kind has to say. Where the record lacks it, it is an open point."""

    name: Words
    lists: tuple[ListName, ...] = ()  # left out: all of them
    words: Expression | None = None  # left out: any entry of the lists will do
    codes: tuple[LoincCode, ...] = ()
    within_hours: float | None = Field(default=None, gt=0)  # before the end of the stay
    ask: Words

    @model_validator(mode="after")
    def _looks(self) -> Self:
        if not (self.words or self.codes or self.lists):
            raise ValueError("gives no lists, words or codes to find it by")
        return self


class Declaration(_Closed):
    """A whole `kind.toml`."""

    title: Title
    code: LoincCode = "18842-5"
    display: Words = "Discharge summary"
    extends: Name | None = None
    priority: int = Field(default=0, ge=0, le=100)  # of several kinds that fit, the highest
    when: tuple[Rule, ...] = ()
    prompt: Name
    model: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,80}$")  # of Triton; None: the drafter's
    policy: Policy | None = None  # None: the drafter's
    patient_instructions: bool = True
    parts: tuple[PartDeclaration, ...] = Field(min_length=1)
    titles: dict[GroupName, Title] = Field(default={})
    omit: tuple[GroupName, ...] = ()
    requires: tuple[Element, ...] = ()

    @property
    def type(self) -> DocumentType:
        return DocumentType(title=self.title, code=self.code, display=self.display)

    @property
    def placed(self) -> dict[str, PartCode]:
        """Group → the part that names it."""
        return {group: part.code for part in self.parts for group in part.groups}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if wrong := [*self._twice(), *self._lost(), *self._narratives()]:
            raise ValueError("; ".join(wrong))
        return self

    def _twice(self) -> list[str]:
        codes = [part.code for part in self.parts]
        named = [group for part in self.parts for group in part.groups]
        found = (("part", codes), ("group", [*named, *self.omit]), ("heading", list(self._headings())))
        return [f"{what} {one!r} stands twice" for what, of in found for one in sorted({*of}) if of.count(one) > 1]

    def _headings(self) -> Iterator[str]:
        """Every heading of a part or a group as it is compared: one that stands twice parts the signed text wrongly."""
        yield from (catalogue.name_of(title) for title in (self.title, *catalogue.NARRATIVES))
        for part in self.parts:
            yield from (catalogue.name_of(title) for title in (part.title,) if title)
            yield from (catalogue.name_of(title) for title in catalogue.TITLES.get(part.code, ()) if not part.title)
        renamed = self.titles.keys()
        yield from (catalogue.name_of(title) for title in self.titles.values())
        yield from (name for name in sorted(catalogue.NAMES) if name not in renamed)

    def _lost(self) -> list[str]:
        """Groups that would stand nowhere, and groups that no document may go without."""
        codes = {part.code for part in self.parts}
        homeless = {name for code, names in catalogue.GROUPS.items() if code not in codes for name in names}
        wrong = [
            f"no part for the groups {', '.join(lost)}: name them in a part, or in omit"
            for lost in [sorted(homeless - self.placed.keys() - {*self.omit})]
            if lost
        ]
        if forbidden := sorted({*self.omit} & catalogue.ALWAYS):
            wrong.append(f"omit: {', '.join(forbidden)} cannot be left out")
        own = [part.code for part in self.parts if part.code not in catalogue.GROUPS]
        unnamed = [part.code for part in self.parts if part.code in own and part.title is None]
        return wrong + [f"part {code} needs a title" for code in unnamed]

    def _narratives(self) -> list[str]:
        held = [part.holds for part in self.parts if part.holds]
        wanted = ["hospital-course", *(["patient-instructions"] if self.patient_instructions else [])]
        return [f"{name} needs one part that holds it" for name in wanted if held.count(name) != 1]  # type: ignore[arg-type]
