"""The pseudonyms of one request: from the record of its stay."""

from collections.abc import Iterator

from services.drafter.pseudonyms.generator import PseudonymousGenerator
from services.drafter.pseudonyms.pseudonyms import Pseudonyms
from shared.contracts.context import EncounterContext, Identifier
from shared.inference.generation import Generator


def pseudonymous(generator: Generator, key: bytes, case: str, context: EncounterContext) -> PseudonymousGenerator:
    """Return a generator for one prompt about the stay, whose server gets pseudonyms."""
    return PseudonymousGenerator(generator, Pseudonyms(key, case, context.end.date(), identifiers_of(context)))


def identifiers_of(context: EncounterContext) -> Iterator[Identifier]:
    """Yield the identifiers that were collected from the record, and those that a document has."""
    yield from context.identifiers or ()
    people = (context.patient.name, context.attending_name, *(note.author for note in context.clinical_notes))
    yield from (Identifier(kind="person", text=name) for name in people if name)
    places = (context.organization_name, context.destination)
    yield from (Identifier(kind="organization", text=name) for name in places if name)
    if context.patient.mrn:
        yield Identifier(kind="number", text=context.patient.mrn)
