"""`docker compose run --rm demo`: a knowledge base, then synthetic patients leave. Something for the dashboards.

May be run again: a refresh without changes is skipped, and a discharge that was told before is the same case.
"""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from cli.client import Api
from cli.errors import CommandError
from sandbox_ehr.seed import DemoEncounter, demo_encounters

INGEST = "http://ingest:8080"
SECRETS = Path("/run/secrets")
POLL_INTERVAL_S = 0.5  # seconds
REFRESH_TIMEOUT_S = 600.0  # seconds that a refresh may take; on one core its embedding takes most of them


async def refresh(operator: Api, full: bool = False) -> dict[str, Any]:
    """A refresh from its request to its end; `full`: everything is embedded again. Raises TimeoutError."""
    begun = await operator("POST", "/v1/knowledge/refreshes", json={"full": full})
    async with asyncio.timeout(REFRESH_TIMEOUT_S):
        while True:
            found: dict[str, Any] = await operator("GET", begun["refresh_url"])
            if found["ended"]:
                return found
            await asyncio.sleep(POLL_INTERVAL_S)


async def discharge(engine: Api, stay: DemoEncounter) -> str:
    """Tells ingest that the patient has left, as an integration engine does. Returns the case id."""
    report = {"encounter_id": stay.encounter, "department": stay.department, "attending": stay.attending}
    case_id: str = (await engine("POST", "/v1/encounters/discharged", json=report))["case_id"]
    return case_id


async def run(ingest: str, secrets: Path, patients: int, with_knowledge: bool) -> None:
    """Against the ingest service at `ingest`, with the tokens in `secrets`. Raises CommandError."""
    tokens = {role: (secrets / f"{role}.token").read_text().strip() for role in ("operator", "ingest")}
    operator, engine = Api(ingest, tokens["operator"]), Api(ingest, tokens["ingest"])
    try:
        if with_knowledge:
            found = await refresh(operator)
            print(f"knowledge base: {found['state']}, version {found['live_version']} is live", flush=True)
        for stay in demo_encounters()[:patients]:
            print(f"discharged: {stay.department}, case {await discharge(engine, stay)}", flush=True)
    finally:
        await operator.close()
        await engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A knowledge base and a few discharges.")
    parser.add_argument("--ingest", default=INGEST, help="base address of ingest")
    parser.add_argument("--secrets", type=Path, default=SECRETS, help="where operator.token and ingest.token are")
    parser.add_argument("--patients", type=int, default=3, help="how many leave; the sandbox has eight")
    parser.add_argument("--no-knowledge", action="store_true", help="without Qdrant: drafts cite nothing")
    chosen = parser.parse_args()
    try:
        asyncio.run(run(chosen.ingest, chosen.secrets, chosen.patients, not chosen.no_knowledge))
    except TimeoutError:
        sys.exit("The refresh of the knowledge base has not ended. Look at it: docker compose logs embedder evaluator")
    except CommandError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
