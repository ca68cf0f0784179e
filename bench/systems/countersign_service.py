"""Services of Countersign in one process, with a FHIR server and a model that do nothing."""

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import SecretStr
from typing_extensions import override

from shared.clinical.elements import Resource
from shared.clinical.fhir_client import Capabilities, CreateResult, FhirClient
from shared.clinical.paging import SearchResult
from shared.runtime.logs import configure_logging
from shared.runtime.service import Service, create_app, make_server, tune_gc
from shared.runtime.telemetry import start_telemetry

if TYPE_CHECKING:
    from shared.inference.generation import Generation, Sampling

TEXT = "The patient was admitted and cared for on the ward, and went home.\nInstructions: Rest for a while."


class NoOpEhr(FhirClient):
    """Every read finds the least that is a stay, every create works, every search finds what a create made."""

    def __init__(self) -> None:
        super().__init__("http://ehr.invalid", httpx.AsyncClient())
        self._made: dict[str, Resource] = {}  # by id
        self._identified: dict[str, Resource] = {}  # by type and identifier, as a search names it

    @override
    async def read(self, type: str, id: str) -> Resource:
        if type == "Encounter":
            period = {"start": "2026-11-20T08:00:00Z", "end": "2026-11-23T08:00:00Z"}
            subject = {"reference": f"Patient/{id}"}
            return {"resourceType": type, "id": id, "status": "finished", "period": period, "subject": subject}
        return self._made.get(id, {"resourceType": type, "id": id, "status": "requested"})

    @override
    async def search(self, type: str, params: Mapping[str, str], *, fresh: bool = False) -> list[Resource]:
        found = self._identified.get(f"{type}?{params.get('identifier')}")
        return [found] if found is not None else []

    @override
    async def search_with_issues(self, type: str, params: Mapping[str, str], *, fresh: bool = False) -> SearchResult:
        if type == "Condition":  # no draft is made of a stay without any entry
            return SearchResult([{"resourceType": type, "id": "made", "code": {"text": "Pneumonia"}}], [])
        return SearchResult(await self.search(type, params), [])

    @override
    async def each_page(
        self, type: str, params: Mapping[str, str] | Sequence[tuple[str, str]]
    ) -> AsyncIterator[SearchResult]:
        yield SearchResult(await self.search(type, dict(params)), [])

    @override
    async def create(self, resource: Resource, *, if_none_exist: Mapping[str, str] | None = None) -> CreateResult:
        made = resource | {"id": f"made-{len(self._made)}"}
        self._made[made["id"]] = made
        identifiers = resource.get("identifier", [])
        for item in identifiers if isinstance(identifiers, list) else [identifiers]:
            self._identified[f"{resource['resourceType']}?{item.get('system')}|{item['value']}"] = made
        return CreateResult(made, True)

    @override
    async def update(self, resource: Resource, *, if_match: str | None = None) -> Resource:
        return resource

    @override
    async def capabilities(self) -> Capabilities:
        return Capabilities({})

    @override
    async def ready(self) -> bool:
        return True


class NoOpModel:
    """Every prompt has the same answer."""

    def __init__(self) -> None:
        from shared.inference.generation import Generation  # only the drafter's process needs the model's client

        self._answer = Generation(TEXT, "no-op 1")

    async def generate(
        self, prompt: str, sampling: "Sampling", *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> "Generation":
        return self._answer

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


def build(name: str, seed: str) -> Service:
    """One service; a process loads no other than those it runs, as in operation."""
    ehr = NoOpEhr()
    secret: dict[str, Any] = {"nats_seed": SecretStr(seed)}
    if name == "ingest":
        from services.ingest import main as ingest
        from services.ingest.settings import IngestSettings

        return ingest.build(IngestSettings(**secret))
    if name == "drafter":
        from services.drafter import main as drafter
        from services.drafter.settings import DrafterSettings

        return drafter.build(DrafterSettings(**secret), ehr=ehr, generator=NoOpModel())
    from services.approval import main as approval
    from services.approval.settings import ApprovalSettings

    return approval.build(ApprovalSettings(**secret), ehr=ehr)


def main(names: list[str]) -> None:
    configure_logging()
    seeds = json.loads(os.environ["BENCH_SEEDS"])
    services = [build(name, seeds[name]) for name in names]
    app = create_app(services, on_stop=start_telemetry("countersign").close)
    tune_gc()
    make_server(app, "127.0.0.1", int(os.environ["BENCH_PORT"])).run()


if __name__ == "__main__":
    main(sys.argv[1:])
