"""One service of Countersign as a process, with a FHIR server and a model that do nothing."""

import sys
from typing import Any

from shared.clinical.fhir import Capabilities, Created
from shared.runtime.service import serve

TEXT = "The patient was admitted and cared for on the ward, and went home.\nInstructions: Rest for a while."


class NoOpEhr:
    """Every read finds the least that is a stay, every create works, every search finds what a create made."""

    def __init__(self) -> None:
        self._made: dict[str, dict[str, Any]] = {}

    async def read(self, type: str, id: str) -> dict[str, Any]:
        if type == "Encounter":
            period = {"start": "2026-11-20T08:00:00Z", "end": "2026-11-23T08:00:00Z"}
            subject = {"reference": f"Patient/{id}"}
            return {"resourceType": type, "id": id, "status": "finished", "period": period, "subject": subject}
        return self._made.get(type, {"resourceType": type, "id": id, "status": "requested"})

    async def search(self, type: str, params: Any) -> list[dict[str, Any]]:
        return [self._made[type]] if type in ("DocumentReference", "Provenance") and type in self._made else []

    async def create(self, resource: dict[str, Any], *, if_none_exist: Any = None) -> Created:
        made = resource | {"id": "made"}
        if resource["resourceType"] in ("DocumentReference", "Provenance"):
            self._made[resource["resourceType"]] = made
        return Created(made, True)

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
        from shared.inference.generate import Generation  # only the drafter's process needs the model's client

        self._answer = Generation(TEXT, "no-op 1")

    async def generate(self, prompt: str, sampling: Any, *, deadline: float, on_text: Any = None) -> Any:
        return self._answer

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None


def main(name: str) -> None:
    """Each process loads its own service and no other, as in operation."""
    ehr: Any = NoOpEhr()
    settings: Any
    if name == "ingest":
        from services.ingest import main as ingest

        settings = ingest.IngestSettings()
        service = ingest.build(settings)
    elif name == "drafter":
        from services.drafter import main as drafter

        settings = drafter.DrafterSettings()
        service = drafter.build(settings, ehr=ehr, generator=NoOpModel())
    else:
        from services.approval import main as approval

        settings = approval.ApprovalSettings()
        service = approval.build(settings, ehr=ehr)
    serve(service, settings.host, settings.port)


if __name__ == "__main__":
    main(sys.argv[1])
