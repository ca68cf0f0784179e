"""Check what the services depend on: EHR, Triton, Qdrant, API, identity provider, telemetry."""

import httpx

from cli.doctor.ehr import check_ehr
from cli.doctor.endpoints import check_endpoints
from cli.doctor.target import DoctorTarget
from shared.contracts.errors import CountersignError
from shared.runtime.checks.addresses import TIMEOUT_S, check_document_receiver, check_telemetry
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.checks.sign_on import check_sign_on
from shared.runtime.generation_endpoints import Endpoints


async def check(target: DoctorTarget) -> list[Finding]:
    group = Group("connections")
    async with httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as http:
        await check_ehr(group, http, target)
        await check_document_receiver(group, target.mdm)
        endpoints = await check_endpoints(group, target)
        await _models(group, target, endpoints)
        await _vectors(group, target)
        await _services(group, http, target)
        await check_sign_on(group, http, target)
        await check_telemetry(group, http, target.otlp)
    return group.found


async def _models(group: Group, target: DoctorTarget, endpoints: Endpoints) -> None:
    """Check the models of Triton that the services use by name."""
    from shared.inference.embeddings import TritonEmbedder
    from shared.inference.triton_generation import TritonGenerator

    settings = target.triton
    drafter = TritonGenerator(settings.url, settings.drafter_model)
    embedder = TritonEmbedder(settings.url, settings.embedder_model)
    for name, client in ((settings.drafter_model, drafter), (settings.embedder_model, embedder)):
        if name in endpoints:
            continue
        if await client.ready():
            group.ok(f"model {name}", f"ready at {settings.url}")
        else:
            fix = "check that Triton runs there and has the model; its log tells why a model was not loaded"
            group.fault(f"model {name}", f"not ready at {settings.url}", fix)
        await client.close()


async def _vectors(group: Group, target: DoctorTarget) -> None:
    if target.base_url and not target.qdrant.url:
        return  # in the process of the stack: the check `knowledge` covers it
    try:
        base = target.qdrant.connect()
    except CountersignError as failure:
        group.fault("Qdrant", failure.reason, "set COUNTERSIGN_QDRANT_URL to the server that the services use")
        return
    except OSError as error:
        group.fault(
            "Qdrant",
            f"{error.filename} cannot be read",
            "set COUNTERSIGN_QDRANT_API_KEY_FILE to the file with its API key",
        )
        return
    if await base.ready():
        names = ", ".join(await base.collections())
        group.ok("Qdrant", f"collections: {names or 'none yet'}")
    else:
        group.fault("Qdrant", "it does not answer", f"check {target.qdrant.url} and its API key")
    await base.close()


async def _services(group: Group, http: httpx.AsyncClient, target: DoctorTarget) -> None:
    if not target.base_url:
        return  # each has its own address; the checks of consumers cover them
    try:
        answer = await http.get(f"{target.base_url}/readyz")
        missing = answer.json()["not_answering"]
    except (httpx.HTTPError, ValueError, KeyError):
        group.fault("API", f"it does not answer at {target.base_url}", "start the stack: countersign up")
        return
    if missing:
        group.fault(
            "API",
            f"its services cannot reach {', '.join(missing)}",
            "see that part in this list, and the logs in the data directory",
        )
    else:
        group.ok("API", f"ready at {target.base_url}")
