"""`python -m tests.stays.ship`: writes the synthetic stays that ship with Countersign (shared/clinical/synthetic).

They are the stays of the corpus that look like a hospital's, as the drafter reads them; those that only try what is
malformed or refused are left out. Sets name a record by its digest, so run it again for a reason only: records that can
no longer be read, or new stays.
"""

import asyncio
import gzip
import json
from collections.abc import Iterator
from importlib import import_module
from zoneinfo import ZoneInfo

from services.drafter.extract import read_stay
from services.drafter.kinds import load_shipped_kinds
from shared.clinical import synthetic_stays
from shared.clinical.fhir_client import FhirClient
from shared.clinical.synthetic_stays import SyntheticStay
from shared.contracts.envelope import sha256_hex
from tests.stays import generated
from tests.stays.corpus import MODULES
from tests.stays.elements import BASE
from tests.stays.model import Stay
from tests.stays.server import serve

LEFT_OUT = ("nasty", "no_stays", "awkward")  # modules
DEPARTMENT = "synthetic"


def shipped() -> Iterator[Stay]:
    yield from generated.seed()
    for name in MODULES:
        if name not in LEFT_OUT:
            yield from (made for function in import_module(f"tests.stays.{name}").STAYS if _drafts(made := function()))


def _drafts(stay: Stay) -> bool:
    return stay.expect == "draft"


async def record(stay: Stay) -> tuple[SyntheticStay, bytes]:
    """The index entry of a stay and its record, as a drafter reads it for an endpoint with pseudonyms."""
    async with serve(stay) as http:
        ehr, zone = FhirClient(BASE, http), ZoneInfo(stay.time_zone)
        context = await read_stay(
            ehr, stay.encounter, occurred_at=None, attending=None, zone=zone, identifiers=True, department=DEPARTMENT
        )
    data = context.model_dump_json(exclude_none=True).encode()
    kind = load_shipped_kinds().of(context.kind, died=context.died)
    return SyntheticStay(name=stay.name, document=kind.name, department=DEPARTMENT, context=sha256_hex(data)), data


async def main() -> None:
    for file in synthetic_stays.FOLDER.glob("*.json.gz"):
        file.unlink()
    synthetic_stays.FOLDER.mkdir(exist_ok=True)
    index = []
    for stay in shipped():
        entry, data = await record(stay)
        synthetic_stays.file_of(stay.name).write_bytes(gzip.compress(data, mtime=0))
        index.append(entry.model_dump())
    index.sort(key=lambda item: str(item["name"]))
    synthetic_stays.INDEX.write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
