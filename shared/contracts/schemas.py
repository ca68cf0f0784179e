"""Write the JSON Schema of every event and of the draft to `shared/contracts/json/`.

A test compares the files with the code.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from shared.contracts.draft import Draft
from shared.contracts.drafters import DRAFTER_EVENT_TYPES, DrafterConfiguration
from shared.contracts.ehr import AppointmentChanged, EncounterChanged, EncounterReported, ReimportRequested, TaskChanged
from shared.contracts.evaluations import EVALUATION_EVENT_TYPES
from shared.contracts.events import EVENT_TYPES
from shared.contracts.refresh import REFRESH_EVENT_TYPES
from shared.contracts.visits import VisitReported

FOLDER = Path(__file__).parent / "json"


def generate() -> dict[str, dict[str, Any]]:
    """Return the schemas by file name."""
    models: dict[str, type[BaseModel]] = {f"{type.model_fields['event'].default}.v1": type for type in EVENT_TYPES}
    models |= {f"knowledge-{type.model_fields['event'].default}.v1": type for type in REFRESH_EVENT_TYPES}
    models |= {f"drafters-{type.model_fields['event'].default}.v1": type for type in DRAFTER_EVENT_TYPES}
    models |= {f"evaluations-{type.model_fields['event'].default}.v1": type for type in EVALUATION_EVENT_TYPES}
    others: dict[str, type[BaseModel]] = {
        "draft.v1": Draft,
        "drafter-configuration.v1": DrafterConfiguration,
        "ehr-encounter-fact.v1": EncounterReported,
        "ehr-encounter-changed.v1": EncounterChanged,
        "ehr-appointment-changed.v1": AppointmentChanged,
        "ehr-task-fact.v1": TaskChanged,
        "ehr-reimport.v1": ReimportRequested,
        "ehr-visit-fact.v1": VisitReported,
    }
    return {name: model.model_json_schema() for name, model in (models | others).items()}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, schema in generate().items():
        (FOLDER / f"{name}.json").write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
