"""The health of the installation: everything that `countersign doctor` checks and approval can know."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from services.approval.alerts.prometheus import PrometheusAlerts
from services.approval.ehr_tasks.hold import read_hold
from services.approval.ehr_tasks.reconciler import KEY
from services.approval.ehr_tasks.watermark import Watermark
from services.approval.filing.service import UnfiledDocumentService
from services.approval.health.broker import ELSEWHERE, broker_findings
from services.approval.health.checkpoints import (
    SUBJECT,
    CheckpointTimer,
    LatestCheckpoint,
    assess_folder,
    assess_timer,
)
from services.approval.health.checks import HealthCheck, health_check, model_findings, not_by_approval
from services.approval.health.connections import ConnectionChecks
from services.approval.health.rules import (
    ON_ITS_WAY,
    assess_dead_letters,
    assess_hold,
    assess_schedules,
    assess_secret_files,
    assess_settings,
    assess_unfiled,
)
from services.approval.operations.selection import Selection
from services.approval.operations.service import Operations
from services.approval.settings import ApprovalSettings
from services.approval.system.schedules import Schedule
from services.approval.system.service import SystemService
from shared.contracts.errors import CountersignError
from shared.messaging.broker_status import BrokerStatus
from shared.messaging.buckets import Bucket
from shared.messaging.checkpoints import Folder
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM
from shared.messaging.steps import Clock
from shared.runtime.authentication import Caller
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.checks.nats_server import assess_payload, assess_storage
from shared.runtime.deployment_facts import configured_facts
from shared.runtime.preflight import preflight_errors

OWN_CHECKS = ("ehr",)  # of `/readyz`; the others are of services in the same process


class HealthService:
    """Gathers the checks with approval's own rights. What it may not read is listed as unknown, with who can."""

    def __init__(
        self,
        bus: NatsConnection,
        settings: ApprovalSettings,
        system: SystemService,
        operations: Operations,
        chart: UnfiledDocumentService,
        alerts: PrometheusAlerts,
        clock: Clock,
    ) -> None:
        self._bus = bus
        self._settings = settings
        self._system = system
        self._operations = operations
        self._chart = chart
        self._alerts = alerts
        self._clock = clock
        self._connections = ConnectionChecks(settings)

    async def checks(self, who: Caller, ready: Mapping[str, bool], patience_s: float) -> list[HealthCheck]:
        """Return all checks, in groups. Dead letters and documents are those that `who` may see.

        `ready` are the checks of `/readyz`. Other servers are waited for during `patience_s` seconds.
        """
        broker, schedules, connections, found = await asyncio.gather(
            self._broker(),
            self._schedules(),
            self._connections.findings(patience_s),
            asyncio.gather(
                self._account(),
                self._dead_letters(who),
                self._decisions(),
                self._alert_rules(ready),
                asyncio.to_thread(self._own_settings),
            ),
        )
        account, letters, decisions, rules, settings = found
        work = Group("work")
        if not isinstance(schedules, str):
            assess_schedules(work, schedules, self._clock())
        else:
            work.unknown("schedules", schedules, ELSEWHERE)
        assess_unfiled(work, self._chart.late(who, self._clock() - ON_ITS_WAY))
        checkpoints = await asyncio.to_thread(self._checkpoints, broker, schedules)
        findings = [
            *(_unread(broker) if isinstance(broker, str) else broker_findings(broker, self._clock())),
            *(*account, *letters, *decisions, *work.found, *checkpoints, *connections, *rules, *settings),
            *not_by_approval(),
        ]
        return sorted(map(health_check, findings), key=_place)

    async def close(self) -> None:
        await self._connections.close()

    async def _broker(self) -> BrokerStatus | str:
        try:
            return await self._system.broker()
        except CountersignError as failure:
            return failure.reason

    async def _schedules(self) -> list[Schedule] | str:
        try:
            return await self._system.schedules()
        except CountersignError as failure:
            return failure.reason

    async def _account(self) -> list[Finding]:
        """Check the storage of the account, if it has a limit, and the maximum message size."""
        group = Group("server")
        try:
            room = await self._bus.storage_usage()
        except CountersignError as failure:
            group.fault("NATS", failure.reason, "check that it runs and that approval may connect")
            return group.found
        if room.limit is not None:
            assess_storage(group, "storage of the account", room.stored, room.limit)
        assess_payload(group, self._bus.client.max_payload)
        return group.found

    async def _dead_letters(self, who: Caller) -> list[Finding]:
        group = Group("work")
        try:
            letters, more = await self._operations.page(who, Selection(), 0, 1000)
        except CountersignError as failure:
            group.fault("dead letters", failure.reason, ELSEWHERE)
            return group.found
        assess_dead_letters(group, [letter.consumer for letter in letters], complete=more is None)
        return group.found

    async def _decisions(self) -> list[Finding]:
        group = Group("work")
        try:
            hold, entry = await read_hold(self._bus), await Bucket(self._bus, "reconciled").get(KEY)
        except CountersignError as failure:
            group.fault("decisions in the EHR", failure.reason, ELSEWHERE)
            return group.found
        assess_hold(group, hold, Watermark.read(entry.value) if entry else Watermark())
        return group.found

    async def _alert_rules(self, ready: Mapping[str, bool]) -> list[Finding]:
        """Check the alert rules, and by their alerts the models, which approval does not use."""
        others = {name: answers for name, answers in ready.items() if name not in OWN_CHECKS}
        group = Group("connections")
        try:
            report = await self._alerts.report()
        except CountersignError as failure:
            do = "set COUNTERSIGN_PROMETHEUS_URL (docs/how-to/telemetry.md), or see which alerts Prometheus shows"
            group.unknown("alert rules", failure.reason, do)
            return [*group.found, *model_findings(None, others)]
        wrong = (*report.missing, *report.failing)
        if wrong:
            do = "load deploy/prometheus/alerts.yml of this version"
            group.warning("alert rules", f"Prometheus does not evaluate {', '.join(wrong)}", do)
        else:
            group.ok("alert rules", "Prometheus evaluates all of them")
        firing = frozenset(alert.name for alert in report.alerts if alert.state == "firing")
        return [*group.found, *model_findings(firing, others)]

    def _checkpoints(self, broker: BrokerStatus | str, schedules: list[Schedule] | str) -> list[Finding]:
        """Check the newest checkpoint, or where its folder is not set, its timer. Reads files."""
        group, now, folder = Group("work"), self._clock(), self._settings.checkpoint_dir
        if folder is None:
            if not isinstance(schedules, str):
                timers = (item for item in schedules if item.job == "checkpoint")
                assess_timer(group, next(map(_timer, timers), None), now)
            return group.found
        try:
            signed = Folder(folder).last()
        except CountersignError as failure:
            group.fault(SUBJECT, failure.reason, "check that COUNTERSIGN_CHECKPOINT_DIR exists and can be read")
            return group.found
        found = signed.checkpoint if signed is not None else None
        newest = LatestCheckpoint(found.number, found.time, found.last) if found is not None else None
        streams = () if isinstance(broker, str) else broker.streams
        last = next((item.last_seq for item in streams if item.name == STREAM), None)
        if last is None:
            group.unknown(SUBJECT, "the last sequence of the event stream is not known", ELSEWHERE)
        else:
            assess_folder(group, newest, max(last, 0), self._settings.checkpoint_every, now)
        return group.found

    def _own_settings(self) -> list[Finding]:
        """Check settings and files with the rules of production. Reads files."""
        group, settings = Group("settings"), self._settings
        try:
            facts, keys = configured_facts(_without_durability(settings), None), len(settings.master_keys)
        except (OSError, CountersignError) as error:
            reason = error.reason if isinstance(error, CountersignError) else f"{error.filename} cannot be read"
            group.fault("files with secrets", reason, "approval would not start again: restore the file")
            return group.found
        sentences = preflight_errors(replace(facts, files=()))
        assess_settings(group, sentences, production=settings.mode == "production")
        assess_secret_files(group, facts.files, keys)
        return group.found


def _without_durability(settings: ApprovalSettings) -> ApprovalSettings:
    """Return the settings for the checks of production, but for durability: NATS is asked for it anyway."""
    allowed = settings.allowed.model_copy(update={"unsafe_durability": True})
    return settings.model_copy(update={"allowed": allowed})


def _timer(item: Schedule) -> CheckpointTimer | None:
    return CheckpointTimer(item.next_at, item.every) if item.next_at is not None else None


def _unread(reason: str) -> list[Finding]:
    group = Group("server")
    group.unknown("monitoring", reason, "set COUNTERSIGN_NATS_MONITOR_URL, and check that approval can reach it")
    group.unknown("streams", "they are read from the monitoring endpoint", ELSEWHERE)
    return group.found


GROUPS = ("server", "streams", "users", "work", "connections", "settings")


def _place(check: HealthCheck) -> int:
    """Return the place of a check's group; the order within a group stays."""
    return GROUPS.index(check.group.partition(" ")[0])
