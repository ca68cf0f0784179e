"""Run all checks, one group after the other."""

from cli.doctor import dependencies, server, topology, users, workload
from cli.doctor.findings import Findings, Group, ProgressCallback
from cli.doctor.target import DoctorTarget
from shared.contracts.errors import CountersignError, PermanentError
from shared.messaging.connection import connect


async def run_checks(place: DoctorTarget, tell: ProgressCallback) -> Findings:
    """Yield the findings as they come; `tell` is called with the name of each group of checks."""
    tell("the server")
    for finding in await server.check(place):
        yield finding
    group = Group("server")
    try:
        bus = await connect(place.nats_url, "admin", place.admin_seed, ca_file=place.nats_ca_file)
    except CountersignError as failure:
        do = f"check that nats-server runs at {place.nats_url}, and that the key is that of the admin user"
        if isinstance(failure, PermanentError):
            do = "see docs/how-to/tls.md on TLS"
        group.fault("NATS", failure.reason, do)
        yield group.found[0]
    else:
        try:
            for finding in await server.check_account(bus):
                yield finding
            tell("streams and consumers")
            for finding in await topology.check(bus, place):
                yield finding
            tell("users and their permissions")
            for finding in await users.check(place):
                yield finding
            tell("consumers, dead letters and the knowledge base")
            for finding in await workload.check(bus, place):
                yield finding
        finally:
            await bus.close()
    tell("connections")
    for finding in await dependencies.check(place):
        yield finding
