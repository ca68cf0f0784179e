"""The typed records that the sentences are about: the stays of `tests/stays` as the drafter extracts them."""

import asyncio
import logging
from collections.abc import Callable, Iterator

from shared.contracts.context import EncounterContext
from shared.contracts.errors import PermanentError
from tests.stays import carebundle_stays, corpus, generated
from tests.stays.model import Stay
from tests.stays.reading import read


def contexts(tell: Callable[[str], None], *, shared: bool = True) -> dict[str, EncounterContext]:
    """The record of each stay that can be drafted, by the stay's name; what is not here is told in words.

    Without `shared` only those whose data is committed.
    """
    logging.disable(logging.WARNING)
    stays = corpus.all_stays(tell) if shared else _committed()
    try:
        return asyncio.run(_all([stay for stay in stays if not stay.name.endswith("-day")]))
    finally:
        logging.disable(logging.NOTSET)


def _committed() -> Iterator[Stay]:
    yield from corpus.written()
    yield from carebundle_stays.stays()
    yield from generated.seed()


async def _all(stays: list[Stay]) -> dict[str, EncounterContext]:
    found = [(stay.name, await _extracted(stay)) for stay in stays]
    return {name: context for name, context in found if context is not None}


async def _extracted(stay: Stay) -> EncounterContext | None:
    """None where the record gives no draft: such stays are part of the corpus."""
    try:
        return await read(stay)
    except PermanentError:
        return None
