"""The checks that can be tried: today's, and the one of typed claims where it can be imported."""

from services.drafter import facts
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Fact
from tests.claims.model import Adapter, Checker, Finding, Result
from tests.claims.modules import has_new_check, new_check, old_check


def adapter(name: str) -> Adapter:
    """`old` or `new`. Binding one that is not there raises ImportError."""
    return new if name == "new" else old


def newest() -> str:
    """The name of the best check that there is."""
    return "new" if has_new_check() else "old"


def old(context: EncounterContext) -> Checker:
    """Holds a sentence against the rendered record; what it does not find is not in the record."""
    notes = [Fact(text=item.text, source=item.source) for item in context.notes]
    derived = (("Age: {} years", facts.age(context)), ("Length of stay: {} days", facts.length_of_stay(context)))
    more = [Fact(text=text.format(number), source=context.encounter) for text, number in derived if number]
    grounding = old_check()
    record = grounding.Record([*facts.lines(context), *notes, *more])

    def check(text: str) -> Result:
        claims = grounding.check(text, "hospital-course", record).unsupported
        findings = tuple(Finding(claim.kind, claim.text, "not-in-record") for claim in claims)
        return Result("not-in-record" if findings else "supported", findings)

    return check


def new(context: EncounterContext) -> Checker:
    """Holds each claim of a sentence against the typed record."""
    module = new_check()
    record = module.Record(context)

    def check(text: str) -> Result:
        verdict = module.check(text, record)
        findings = (Finding(item.kind, item.text, item.label, item.source) for item in verdict.findings)
        return Result(verdict.label, tuple(findings))

    return check
