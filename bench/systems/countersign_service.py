"""Services of Countersign in one process, with a FHIR server and a model that do nothing."""

import json
import os
import sys
from typing import Any

from pydantic import SecretStr

from shared.clinical.fhir_client import Capabilities, CreateResult
from shared.clinical.paging import SearchResult
from shared.runtime.logs import configure_logging
from shared.runtime.service import Service, create_app, make_server, tune_gc
from shared.runtime.telemetry import start_telemetry

TEXT = "The patient was admitted and cared for on the ward, and went home.\nInstructions: Rest for a while."


class NoOpEhr:
    """Every read finds the least that is a stay, every create works, every search finds what a create made."""

    base = "http://ehr.invalid"
    bases: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._made: dict[str, dict[str, Any]] = {}  # by id
        self._identified: dict[str, dict[str, Any]] = {}  # by type and identifier, as a search names it

    async def read(self, type: str, id: str) -> dict[str, Any]:
        if type == "Encounter":
            period = {"start": "2026-11-20T08:00:00Z", "end": "2026-11-23T08:00:00Z"}
            subject = {"reference": f"Patient/{id}"}
            return {"resourceType": type, "id": id, "status": "finished", "period": period, "subject": subject}
        return self._made.get(id, {"resourceType": type, "id": id, "status": "requested"})

    async def search(self, type: str, params: Any, *, fresh: bool = False) -> list[dict[str, Any]]:
        found = self._identified.get(f"{type}?{params.get('identifier')}")
        return [found] if found is not None else []

    async def find(self, type: str, params: Any, *, fresh: bool = False) -> SearchResult:
        if type == "Condition":  # no draft is made of a stay without any entry
            return SearchResult([{"resourceType": type, "id": "made", "code": {"text": "Pneumonia"}}], [])
        return SearchResult(await self.search(type, params), [])

    async def create(self, resource: dict[str, Any], *, if_none_exist: Any = None) -> CreateResult:
        made = resource | {"id": f"made-{len(self._made)}"}
        self._made[made["id"]] = made
        identifiers = resource.get("identifier", [])
        for item in identifiers if isinstance(identifiers, list) else [identifiers]:
            self._identified[f"{resource['resourceType']}?{item.get('system')}|{item['value']}"] = made
        return CreateResult(made, True)

    async def update(self, resource: dict[str, Any], *, if_match: Any = None) -> dict[str, Any]:
        return resource

    async def capabilities(self) -> Capabilities:
        return Capabilities({})

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


class NoOpModel:
    def __init__(self) -> None:
        from shared.inference.generation import Generation  # only the drafter's process needs the model's client

        self._answer = Generation(TEXT, "no-op 1")

    async def generate(self, prompt: str, sampling: Any, *, deadline: float, on_text: Any = None) -> Any:
        return self._answer

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


def build(name: str, seed: str) -> Service:
    """One service; a process loads no other than those it runs, as in operation."""
    ehr: Any = NoOpEhr()
    secret: dict[str, Any] = {"nats_seed": SecretStr(seed)}
    if name == "ingest":
        from services.ingest import main as ingest

        return ingest.build(ingest.IngestSettings(**secret))
    if name == "drafter":
        from services.drafter import main as drafter

        return drafter.build(drafter.DrafterSettings(**secret), ehr=ehr, generator=NoOpModel())
    from services.approval import main as approval

    return approval.build(approval.ApprovalSettings(**secret), ehr=ehr)


def main(names: list[str]) -> None:
    configure_logging()
    seeds = json.loads(os.environ["BENCH_SEEDS"])
    services = [build(name, seeds[name]) for name in names]
    app = create_app(services, on_stop=start_telemetry("countersign").close)
    tune_gc()
    make_server(app, "127.0.0.1", int(os.environ["BENCH_PORT"])).run()


if __name__ == "__main__":
    main(sys.argv[1:])
