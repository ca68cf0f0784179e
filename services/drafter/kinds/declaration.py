"""Model of a `kind.toml`, which declares a kind of document. `docs/how-to/document-kinds.md` explains each line."""

import re
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from services.drafter.kinds import dispositions, fact_groups
from shared.contracts.context import EncounterContext
from shared.contracts.draft import NAME_PATTERN, DocumentType, LoincCode, Narrative, PartCode
from shared.contracts.drafters import Policy
from shared.contracts.model import Model
from shared.contracts.quality_gate import MetricLimits, MetricName

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=64)]
PlainText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
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
FIXED_PARTS: dict[str, Narrative] = {
    "procedures-and-treatment": "hospital-course",
    "patient-and-family-instructions": "patient-instructions",
}


def _check_expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression ({error})") from None
    return value


def _check_place(value: str) -> str:
    if value not in dispositions.place_names():
        raise ValueError(f"is not one of {', '.join(sorted(dispositions.place_names()))}")
    return value


def _check_group(value: str) -> str:
    if value not in fact_groups.NAMES and value != fact_groups.REQUIRED_ELEMENTS_GROUP:
        raise ValueError(f"{value!r} is not a group of facts")
    return value


def _check_list(value: str) -> str:
    if value not in LISTS:
        raise ValueError(f"{value!r} is not one of {', '.join(sorted(LISTS))}")
    return value


Expression = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_check_expression)]
PlaceName = Annotated[str, AfterValidator(_check_place)]
GroupName = Annotated[str, AfterValidator(_check_group)]
ListName = Annotated[str, AfterValidator(_check_list)]


class Rule(Model):
    """Conditions of a kind; all must hold, and one of several values is enough.

    A condition that the record says nothing about does not hold.
    """

    died: bool = False  # a rule without it is for the living
    disposition: tuple[PlaceName, ...] = ()
    disposition_words: Expression | None = None
    disposition_codes: tuple[str, ...] = ()  # `system|code`, of a table of the hospital's own
    encounter_class: tuple[str, ...] = ()
    named: Expression | None = None  # what class, type and service of the encounter are called
    began: tuple[PlaceName, ...] = ()
    oldest_days: int | None = Field(default=None, ge=0)  # age at the admission
    shortest_hours: float | None = Field(default=None, ge=0)
    longest_hours: float | None = Field(default=None, gt=0)
    departments: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _check_has_condition(self) -> Self:
        stated = [getattr(self, name) for name in type(self).model_fields]
        if all(value is None or value is False or value == () for value in stated):
            raise ValueError("has no condition and would match every stay")
        return self


class PartDeclaration(Model):
    """A part of the document. Defaults: `title` of the record's part, `groups` that it has by default."""

    code: PartCode
    title: Title | None = None
    groups: tuple[GroupName, ...] = ()
    narrative: Narrative | None = None
    required: bool = True
    section: LoincCode | None = None

    @property
    def holds(self) -> Narrative | None:
        """Return the narrative of the part."""
        return self.narrative or FIXED_PARTS.get(self.code)


class RequiredElement(Model):
    """Content that a document of the kind must have. It is an open point where the record lacks it."""

    name: PlainText
    lists: tuple[ListName, ...] = ()  # left out: all of them
    words: Expression | None = None  # left out: any entry of the lists will do
    codes: tuple[LoincCode, ...] = ()
    within_hours: float | None = Field(default=None, gt=0)  # before the end of the stay
    ask: PlainText

    @model_validator(mode="after")
    def _check_is_findable(self) -> Self:
        if not (self.words or self.codes or self.lists):
            raise ValueError("has no lists, words or codes to find it by")
        return self


class Declaration(Model):
    """A whole `kind.toml`."""

    title: Title
    code: LoincCode = "18842-5"
    display: PlainText = "Discharge summary"
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
    requires: tuple[RequiredElement, ...] = ()
    gate: dict[MetricName, MetricLimits] = Field(default={})  # of candidates; what it leaves out are the defaults

    @property
    def type(self) -> DocumentType:
        return DocumentType(title=self.title, code=self.code, display=self.display)

    @property
    def placed(self) -> dict[str, PartCode]:
        """Return the part that names each group."""
        return {group: part.code for part in self.parts for group in part.groups}

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if wrong := [*self._repeated_headings(), *self._lost_groups(), *self._misplaced_narratives()]:
            raise ValueError("; ".join(wrong))
        return self

    def _repeated_headings(self) -> list[str]:
        codes = [part.code for part in self.parts]
        named = [group for part in self.parts for group in part.groups]
        names_by_type = (("part", codes), ("group", [*named, *self.omit]), ("heading", list(self._headings())))
        return [
            f"{what} {one!r} stands twice" for what, of in names_by_type for one in sorted({*of}) if of.count(one) > 1
        ]

    def _headings(self) -> Iterator[str]:
        """Yield every heading as it is compared: a repeated one would split the signed text wrongly."""
        yield from (fact_groups.group_name(title) for title in (self.title, *fact_groups.NARRATIVES))
        for part in self.parts:
            yield from (fact_groups.group_name(title) for title in (part.title,) if title)
            yield from (
                fact_groups.group_name(title) for title in fact_groups.TITLES.get(part.code, ()) if not part.title
            )
        renamed = self.titles.keys()
        yield from (fact_groups.group_name(title) for title in self.titles.values())
        yield from (name for name in sorted(fact_groups.NAMES) if name not in renamed)

    def _lost_groups(self) -> list[str]:
        """Reject groups that would be in no part, and kinds without mandatory groups."""
        codes = {part.code for part in self.parts}
        homeless = {name for code, names in fact_groups.GROUPS.items() if code not in codes for name in names}
        wrong = [
            f"no part for the groups {', '.join(lost)}: name them in a part, or in omit"
            for lost in [sorted(homeless - self.placed.keys() - {*self.omit})]
            if lost
        ]
        if forbidden := sorted({*self.omit} & fact_groups.MANDATORY_GROUPS):
            wrong.append(f"omit: {', '.join(forbidden)} cannot be left out")
        own = [part.code for part in self.parts if part.code not in fact_groups.GROUPS]
        unnamed = [part.code for part in self.parts if part.code in own and part.title is None]
        return wrong + [f"part {code} needs a title" for code in unnamed]

    def _misplaced_narratives(self) -> list[str]:
        held = [part.holds for part in self.parts if part.holds]
        wanted = ["hospital-course", *(["patient-instructions"] if self.patient_instructions else [])]
        return [f"{name} needs one part that holds it" for name in wanted if held.count(name) != 1]  # type: ignore[arg-type]
