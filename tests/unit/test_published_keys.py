"""The key set that an EHR fetches: public halves only, from the file as it is at the moment."""

from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from cli.stack.ehr_client import JWKS, KEYS, client_key_files
from services.ingest.dependencies import IngestDependencies
from services.ingest.jwks_api import router
from shared.runtime import problems
from shared.runtime.dependencies import mount, provide


def serving(file: Path | None) -> httpx.AsyncClient:
    app = FastAPI()
    problems.install_error_handlers(app)
    others = cast(Any, None)
    provide(app, IngestDependencies(others, others, others, others, others, others, others, file))
    mount(app, router)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x")


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return client_key_files(Path("/nowhere"), 1_800_000_000, algorithms=("ES384",))


async def test_public_keys_are_served_to_anybody_and_may_be_cached_for_five_minutes(
    tmp_path: Path, files: dict[str, str]
) -> None:
    for name in (JWKS, KEYS):
        (tmp_path / name).write_text(files[name])
        answer = await serving(tmp_path / name).get("/.well-known/jwks.json")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=300")
        (key,) = answer.json()["keys"]
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use", "iat"}


async def test_a_rotated_key_is_published_without_a_restart(tmp_path: Path, files: dict[str, str]) -> None:
    file = tmp_path / JWKS
    http = serving(file)
    assert (await http.get("/.well-known/jwks.json")).status_code == 503
    (tmp_path / KEYS).write_text(files[KEYS])
    for rotate, count in ((False, 1), (True, 3)):  # rotation makes one of each algorithm
        file.write_text(client_key_files(tmp_path, 1_800_000_100, rotate=rotate)[JWKS])
        assert len((await http.get("/.well-known/jwks.json")).json()["keys"]) == count


async def test_without_a_file_there_is_nothing_to_find() -> None:
    answer = await serving(None).get("/.well-known/jwks.json")
    assert (answer.status_code, "COUNTERSIGN_EHR_CLIENT_JWKS_FILE" in answer.text) == (404, True)
