"""Evaluation sets: signed or synthetic stays under a name, in versions that never change."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.evaluator.signed_stays import SignedStays
from shared.clinical import synthetic_stays
from shared.clinical.synthetic_stays import SyntheticStay
from shared.contracts.case_values import Actor
from shared.contracts.evaluations import EvaluationItem, EvaluationSetMade
from shared.messaging.evaluations import EvaluationLog, evaluation_set_id
from shared.runtime.problems import ProblemError

VERSIONED_NAME = re.compile(r"^([a-z0-9-]{1,64})(?:@([1-9][0-9]{0,8}))?$")


@dataclass(frozen=True, slots=True)
class StayChoice:
    """Which stays: the cases that are named, else those that were signed last; `synthetic`: of those that ship."""

    limit: int
    cases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    department: str | None = None
    synthetic: bool = False


class EvaluationSets:
    def __init__(self, log: EvaluationLog, stays: SignedStays) -> None:
        self._log = log
        self._stays = stays

    async def all(self) -> list[EvaluationSetMade]:
        """Return every version of every set, by name and version."""
        return sorted(await self._log.set_versions(), key=lambda item: (item.name, item.number))

    async def find(self, stamp: str) -> EvaluationSetMade:
        """Return the version that `stamp` names, such as `icu@2`; without a number the last. Raises ProblemError."""
        parts = VERSIONED_NAME.fullmatch(stamp)
        versions = await self._log.set_versions(parts[1]) if parts else []
        chosen = [item for item in versions if parts and parts[2] in (None, str(item.number))]
        if not chosen:
            raise ProblemError(
                404, "There is no such evaluation set", "List them with `countersign drafters sets list`."
            )
        return chosen[-1]

    async def make(self, name: str, document: str, choice: StayChoice, by: Actor, reason: str) -> EvaluationSetMade:
        """Make a set, or its next version. If the last version has the same stays, it is returned.

        Raises ProblemError.
        """
        items = tuple(await self.choose(document, choice))
        while True:
            versions = await self._log.set_versions(name)
            if versions and versions[-1].document != document:
                words = f"It has stays of {versions[-1].document}; choose another name."
                raise ProblemError(409, "That set is of another kind of document", words)
            if versions and versions[-1].items == items:
                return versions[-1]
            number = versions[-1].number + 1 if versions else 1
            made = EvaluationSetMade(name=name, number=number, document=document, items=items, by=by, reason=reason)
            if await self._log.append(evaluation_set_id(name), made):
                return made

    async def choose(self, document: str, choice: StayChoice) -> list[EvaluationItem]:
        """Return the stays of a choice. Raises ProblemError where there is none, or a named case has none."""
        if choice.synthetic:
            return choose_synthetic(synthetic_stays.index(), document, choice)
        if choice.cases:
            return await self._items_of_cases(document, choice.cases)
        items = await self._stays.last(document, choice.limit, choice.without, choice.department)
        if not items:
            where = f" in {choice.department}" if choice.department else ""
            raise ProblemError(409, "No stay to evaluate on", f"No {document} was signed yet{where}.")
        return items

    async def is_erased(self, case: str) -> bool:
        """Return whether texts of a case were erased, or are to be."""
        return await self._stays.is_erased(case)

    async def _items_of_cases(self, document: str, cases: Sequence[str]) -> list[EvaluationItem]:
        items = await self._stays.of_cases(document, cases)
        missing = sorted(set(cases) - {item.case for item in items})
        if missing:
            raise not_signed(document, missing)
        return items


def not_signed(document: str, cases: Sequence[str]) -> ProblemError:
    """Return the problem of cases for which no document of a kind was signed."""
    words = f"No {document} was signed for {', '.join(cases[:5])}."
    return ProblemError(409, "Not every case can be evaluated on", words)


def choose_synthetic(known: Sequence[SyntheticStay], document: str, choice: StayChoice) -> list[EvaluationItem]:
    """Return synthetic stays that get a kind of document: those that are named, else the first ones.

    Raises ProblemError where there is none, or a named stay is not one of them.
    """
    fitting = {item.name: item for item in known if item.document == document}
    missing = sorted(set(choice.cases) - fitting.keys())
    if missing:
        words = f"There is no synthetic stay with a {document} called {', '.join(missing[:5])}."
        raise ProblemError(409, "Not every case can be evaluated on", words)
    names = choice.cases or [name for name in fitting if name not in choice.without][: choice.limit]
    if not names:
        raise ProblemError(409, "No stay to evaluate on", f"No synthetic stay gets a {document}.")
    found = [fitting[name] for name in dict.fromkeys(names)]
    return [EvaluationItem(case=item.name, department=item.department, context=item.context) for item in found]
