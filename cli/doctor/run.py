"""Run all checks, one group after the other."""

from cli.doctor import dependencies, server, topology, users, workload
from cli.doctor.target import DoctorTarget
from shared.contracts.errors import CountersignError, PermanentError
from shared.messaging.connection import connect
from shared.runtime.checks.findings import Findings, Group, ProgressCallback


async def run_checks(target: DoctorTarget, report_progress: ProgressCallback) -> Findings:
    """Yield the findings as they come; `report_progress` is called with the name of each group of checks."""
    report_progress("the server")
    for finding in await server.check(target):
        yield finding
    group = Group("server")
    try:
        bus = await connect(target.nats_url, "admin", target.admin_seed, ca_file=target.nats_ca_file)
    except CountersignError as failure:
        fix = f"check that nats-server runs at {target.nats_url}, and that the key is that of the admin user"
        if isinstance(failure, PermanentError):
            fix = "see docs/how-to/tls.md on TLS"
        group.fault("NATS", failure.reason, fix)
        yield group.found[0]
    else:
        try:
            for finding in await server.check_account(bus):
                yield finding
            report_progress("streams and consumers")
            for finding in await topology.check(bus, target):
                yield finding
            report_progress("users and their permissions")
            for finding in await users.check(target):
                yield finding
            report_progress("consumers, dead letters and the knowledge base")
            for finding in await workload.check(bus, target):
                yield finding
        finally:
            await bus.close()
    report_progress("connections")
    for finding in await dependencies.check(target):
        yield finding
