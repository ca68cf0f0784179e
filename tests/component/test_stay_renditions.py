"""Renditions of the corpus of stays: each can be written, says every word of its text, and is valid R4."""

from itertools import islice
from pathlib import Path

import pytest
from lxml import etree

from services.approval.filing.renditions import bundle
from services.approval.filing.renditions.make import CONTENT_TYPES, XHTML, make
from services.approval.filing.renditions.signed import writable
from services.approval.filing.renditions.source import Source
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft
from shared.contracts.envelope import ChainHead, RecordedEvent, sha256_hex
from shared.contracts.errors import PermanentError
from shared.contracts.events import Approved
from tests.stays import corpus
from tests.stays.draft import composed
from tests.support.examples import CASE, PHYSICIAN, T0, draft_ref
from tests.support.renditions import BASE, words
from tests.support.third_party import errors

pytestmark = [pytest.mark.xdist_group("stays"), pytest.mark.slow]  # one worker reads them all, and each once
EVERY = 4  # one of so many stays


def source(context: EncounterContext, draft: Draft) -> Source:
    signed = sha256_hex(draft.text.encode())
    approved = Approved(
        stay=context.stay,
        draft=draft_ref(),
        signed=signed,
        edited=False,
        by=PHYSICIAN,
        signer="Practitioner/dr-1",
    )
    decision = RecordedEvent(CASE, "id-5", "countersign/approval", T0, "", approved, ChainHead(5, "h" * 64))
    return Source(decision, approved, ("urn:test", "final"), draft.text, draft, context, "dev-1", BASE)


async def test_every_stay_can_be_written_in_each_way_with_every_word(tmp_path: Path) -> None:
    bundles: list[bytes] = []
    for stay in islice(corpus.all_stays(lambda _: None), None, None, EVERY):
        try:
            of = source(*await composed(stay))
        except PermanentError:
            continue  # a stay that no draft is made of
        found = make(of, CONTENT_TYPES, "us-letter")
        assert list(found) == list(CONTENT_TYPES), stay.name
        (main,) = etree.fromstring(found[XHTML]).iter("{*}main")
        said = words(" ".join(main.itertext()))
        assert set(words(writable(of.text))) <= set(said), stay.name
        tables = any(group.columns for part in of.draft.parts for group in part.groups)
        assert tables or said == words(writable(of.text)), stay.name
        bundles.append(bundle.write(of))
    assert len(bundles) > 10
    assert errors(bundles, tmp_path) == []
