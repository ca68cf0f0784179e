"""Check that what Countersign sends to answers: the receiver of MDM messages, the collector of telemetry."""

import asyncio

import httpx

from shared.contracts.errors import CountersignError
from shared.runtime.checks.findings import Group
from shared.runtime.mdm_settings import MdmSettings

TIMEOUT_S = 5.0


async def check_document_receiver(group: Group, mdm: MdmSettings) -> None:
    """Check that the receiver of MDM messages takes a connection. No message is sent."""
    if not mdm.configured:
        return
    where = f"{mdm.host}:{mdm.port}"
    try:
        to = mdm.address()
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(to.host, to.port, ssl=to.tls)
            writer.close()
    except CountersignError as failure:
        group.fault("MDM receiver", failure.reason, "check COUNTERSIGN_MDM_CA_FILE and the client certificate")
    except (OSError, TimeoutError) as error:
        says = f"{where} takes no connection ({type(error).__name__})"
        group.fault("MDM receiver", says, "check COUNTERSIGN_MDM_HOST and COUNTERSIGN_MDM_PORT, and the firewall")
    else:
        group.ok("MDM receiver", f"{where} takes connections{'' if to.tls else ', without TLS'}")


async def check_telemetry(group: Group, http: httpx.AsyncClient, url: str) -> None:
    """Check that the collector answers. `url`: that of its OTLP endpoint, empty where nothing is exported."""
    if not url:
        return
    try:
        await http.get(url)  # any answer is enough: its endpoints accept POST only
    except httpx.RemoteProtocolError:
        pass  # a gRPC server answers there
    except httpx.HTTPError as error:
        do = "check that the collector runs; the services work without it"
        group.warning("telemetry", f"{url} does not answer ({type(error).__name__})", do)
        return
    group.ok("telemetry", f"{url} answers")
