"""Rights are tried on the real server, and trying them changes nothing there."""

import json
from datetime import UTC, datetime, timedelta

import nkeys
import pytest

from cli.doctor import server, users
from cli.doctor.target import DoctorTarget
from shared.messaging.permissions import Permissions, auditor_permissions, permissions
from shared.messaging.provision import StreamStorage, stream_configs
from shared.messaging.snapshots import call
from shared.messaging.topology import EMBED
from shared.runtime.checks.findings import Finding
from shared.runtime.mdm_settings import MdmSettings
from shared.runtime.oidc import OidcSettings
from shared.runtime.settings import QdrantSettings, TritonSettings
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected


def place(nats: NatsServer) -> DoctorTarget:
    return DoctorTarget(
        nats_url=nats.url,
        nats_ca_file=nats.ca_file,
        admin_seed=nats.secrets.seeds["admin"],
        seeds=nats.secrets.seeds,
        monitor_url=f"http://127.0.0.1:{nats.ports.monitor}",
        storage=StreamStorage(),
        ehr_url="http://127.0.0.1:1/fhir",
        ehr_authorization=None,
        write_back="fhir",
        mdm=MdmSettings(),
        triton=TritonSettings(),
        qdrant=QdrantSettings(),
        oidc=OidcSettings(),
        otlp="",
        data_dir=None,
        base_url="",
        operator_token="",
        provision="",
    )


def levels(found: list[Finding]) -> dict[str, str]:
    return {item.what: item.level for item in found}


async def test_every_user_is_tried_and_nothing_is_stored_purged_or_resumed(nats: NatsServer) -> None:
    await nats.provision()
    bus = await nats.connect("admin")
    await bus.publish("timers.due.peak.all", b"", stream="REFRESH_TIMERS")
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    pause = f"$JS.API.CONSUMER.PAUSE.KNOWLEDGE.{EMBED}"
    await call(bus, pause, json.dumps({"pause_until": until}).encode())
    found = await users.check(place(nats))
    assert levels(found) == {f"user {user}": "ok" for user in users.user_permissions()}, found
    streams = await bus.jetstream.streams_info()
    assert {item.config.name: item.state.messages for item in streams if item.state.messages} == {"REFRESH_TIMERS": 1}
    info = await bus.jetstream.consumer_info("KNOWLEDGE", EMBED)
    assert info.paused
    assert len(streams) == len(stream_configs(StreamStorage()))
    await bus.close()


async def test_a_user_with_other_rights_or_another_key_is_named(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def less(service: str) -> Permissions:
        owned = permissions(service)
        kept = tuple(right for right in owned.publish if right != "discharge.*.*.drafted")
        return Permissions(kept, owned.subscribe)

    def more() -> Permissions:
        owned = auditor_permissions()
        return Permissions((*owned.publish, "discharge.*.*.filed"), (*owned.subscribe, "$KV.>"))

    nats.kill()
    monkeypatch.setattr("cli.stack.nats_config.permissions", less)
    monkeypatch.setattr("cli.stack.nats_config.auditor_permissions", more)
    nats.start()
    nobody = str(nkeys.encode_seed(bytes(32), nkeys.PREFIX_BYTE_USER), "ascii")
    nats.secrets = nats.secrets.model_copy(update={"seeds": nats.secrets.seeds | {"backup": nobody}})
    faults = {item.what: item.says for item in await users.check(place(nats)) if item.level == "fault"}
    assert faults.pop("user backup").startswith("it cannot connect")
    assert faults == {
        "user drafter": "permissions are missing: discharge.*.*.drafted",
        "user auditor": "permissions are too broad: $KV.>, discharge.*.*.filed",
    }


async def test_a_server_without_a_clock_or_a_store_to_ask_is_a_fault(nats: NatsServer) -> None:
    assert {item.level for item in await server.check(place(nats))} == {"ok"}
    asked = place(nats)
    nats.kill()
    assert levels(await server.check(asked)) == {"monitoring": "fault"}
