"""`docker compose run --rm demo`: refresh the knowledge base, then discharge synthetic patients, to fill dashboards.

Safe to run again: a refresh without changes is skipped, and a repeated discharge is the same case.
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
    """Request a refresh and wait until it has ended; `full` embeds all documents again. Raises TimeoutError."""
    begun = await operator("POST", "/v1/knowledge/refreshes", json={"full": full})
    async with asyncio.timeout(REFRESH_TIMEOUT_S):
        while True:
            found: dict[str, Any] = await operator("GET", begun["refresh_url"])
            if found["ended"]:
                return found
            await asyncio.sleep(POLL_INTERVAL_S)


async def discharge(engine: Api, stay: DemoEncounter) -> str:
    """Report a discharge to ingest, as an integration engine does. Return the case id."""
    report = {"encounter_id": stay.encounter, "department": stay.department, "attending": stay.attending}
    case_id: str = (await engine("POST", "/v1/encounters/discharged", json=report))["case_id"]
    return case_id


async def run(ingest: str, secrets: Path, patients: int, with_knowledge: bool) -> None:
    """Use the ingest service at `ingest`, with the tokens in `secrets`. Raises CommandError."""
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
    parser = argparse.ArgumentParser(description="Refresh the knowledge base and discharge a few patients.")
    parser.add_argument("--ingest", default=INGEST, help="base URL of ingest")
    parser.add_argument("--secrets", type=Path, default=SECRETS, help="folder with operator.token and ingest.token")
    parser.add_argument("--patients", type=int, default=3, help="number of discharges; the sandbox has eight patients")
    parser.add_argument(
        "--no-knowledge", action="store_true", help="skip the refresh, without Qdrant: drafts cite nothing"
    )
    chosen = parser.parse_args()
    try:
        asyncio.run(run(chosen.ingest, chosen.secrets, chosen.patients, not chosen.no_knowledge))
    except TimeoutError:
        sys.exit("The refresh of the knowledge base timed out. See: docker compose logs embedder evaluator")
    except CommandError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
