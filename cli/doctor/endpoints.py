"""Check the declared endpoints that draft: kind, host, region, whether each answers, and the models that it serves."""

from cli.doctor.target import DoctorTarget
from shared.contracts.errors import CountersignError
from shared.inference.triton import INTERACTIVE_PRIORITY
from shared.runtime.checks.findings import Group
from shared.runtime.generation_endpoints import Endpoint, Endpoints

FILE = "COUNTERSIGN_GENERATION_ENDPOINTS"
MAX_NAMED = 5


async def check_endpoints(group: Group, target: DoctorTarget) -> Endpoints:
    """Check each endpoint, and return them by name."""
    try:
        endpoints = target.generation.read()
    except CountersignError as failure:
        group.fault("endpoints", failure.reason, f"correct the file that {FILE} names")
        return {}
    for item in endpoints.values():
        if item.kind == "triton":
            await _check_triton(group, item)
        else:
            await _check_http(group, item)
        if item.remote and not (item.region and item.agreement and item.encrypted):
            message = f"{item.host} may be outside of the hospital, and it lacks a region, an agreement or https://"
            fix = f"complete it in {FILE}: in production the drafter does not start"
            group.fault(f"endpoint {item.name}", message, fix)
    return endpoints


def _where(item: Endpoint) -> str:
    remote = "outside of the hospital" if item.remote else "in the hospital's network"
    stated = (f"region {item.region}" if item.region else "", f"agreement: {item.agreement}" if item.agreement else "")
    pseudonyms = "gets pseudonyms" if item.pseudonymise else ""
    return ", ".join(filter(None, (f"{item.kind} at {item.host}", remote, *stated, pseudonyms)))


async def _check_triton(group: Group, item: Endpoint) -> None:
    client = item.connect(INTERACTIVE_PRIORITY)
    if await client.ready():
        group.ok(f"endpoint {item.name}", f"{_where(item)}; serves {item.model}")
    else:
        fix = "check that Triton runs there and has the model; its log tells why a model was not loaded"
        group.fault(f"endpoint {item.name}", f"{_where(item)}; {item.model} is not ready", fix)
    await client.close()


async def _check_http(group: Group, item: Endpoint) -> None:
    client, what = item.connect_http(), f"endpoint {item.name}"
    try:
        served = await client.served_models()
    except CountersignError as failure:
        fix = "check its url, its key, and that this machine may reach it"
        group.fault(what, f"{_where(item)}; {failure.reason}", fix)
    else:
        if item.model in served:
            group.ok(what, f"{_where(item)}; serves {item.model}")
        else:
            listed = ", ".join(served[:MAX_NAMED]) + (" …" if len(served) > MAX_NAMED else "")
            message = f"{_where(item)}; it answers and does not list {item.model}, but {listed or 'no model'}"
            group.warning(what, message, "check `model`; a deployment of Azure is not listed under its own name")
    finally:
        await client.close()
