"""The checks that can be tried: today's, and the one of typed claims where it can be imported."""

from importlib import import_module
from typing import Any

from services.drafter import facts, grounding
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Fact
from tests.claims.model import Adapter, Checker, Finding, Result


def adapter(name: str) -> Adapter:
    """`old` or `new`. Raises ImportError where the new one is not there."""
    if name == "new":
        return _new(import_module("shared.grounding"))
    return old


def newest() -> str:
    """The name of the best check that there is."""
    try:
        import_module("shared.grounding")
    except ImportError:
        return "old"
    return "new"


def old(context: EncounterContext) -> Checker:
    """Holds a sentence against the rendered record; what it does not find is not in the record."""
    notes = [Fact(text=item.text, source=item.source) for item in context.notes]
    derived = (("Age: {} years", facts.age(context)), ("Length of stay: {} days", facts.length_of_stay(context)))
    more = [Fact(text=text.format(number), source=context.encounter) for text, number in derived if number]
    record = grounding.Record([*facts.lines(context), *notes, *more])

    def check(text: str) -> Result:
        claims = grounding.check(text, "hospital-course", record).unsupported
        findings = tuple(Finding(claim.kind, claim.text, "not-in-record") for claim in claims)
        return Result("not-in-record" if findings else "supported", findings)

    return check


def _new(module: Any) -> Adapter:
    def make(context: EncounterContext) -> Checker:
        record = module.Record(context)

        def check(text: str) -> Result:
            verdict = module.check(text, record)
            findings = (Finding(item.kind, item.text, item.label, item.source) for item in verdict.findings)
            return Result(verdict.label, tuple(findings))

        return check

    return make
