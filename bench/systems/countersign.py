"""Countersign: nats-server with every write synced and encrypted; the services in one process, or in three."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import aiohttp
import psutil
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from bench.system import SystemUnderTest, bytes_in, main, until
from cli.stack.nats import NatsPorts, local_node, server_binary
from cli.stack.nats_config import ACCOUNT, Tenant, configuration, key_environment
from cli.stack.ports import free_port
from cli.stack.secrets import load_or_create, write_tokens
from shared.contracts.events import CASE_EVENT_ADAPTER, DraftRef, ReviewRequested
from shared.contracts.subjects import case_id, encounter_subject
from shared.messaging.connection import NatsConnection, connect
from shared.messaging.provision import provision
from tests.support.server import certified

ORGANIZATION = "bench"
SERVICES = ("ingest", "drafter", "approval")


class Countersign(SystemUnderTest):
    """`together`: all services in one process, as `countersign up` runs them; else each in its own."""

    def __init__(
        self, directory: Path, *, together: bool, copies: int = 1, tls: bool = False, text_only: bool = False
    ) -> None:
        """`copies`: processes of each service, where each service is a process. `tls`: to NATS, as installed.

        `text_only`: file the signed text without PDF, XHTML and FHIR document.
        """
        super().__init__(directory)
        self._tls = certified(directory) if tls else None
        self._ca_file = self._tls.ca if self._tls else None
        self._together = together
        self._copies = copies
        self._contents = {"COUNTERSIGN_EHR_CONTENTS": "text/plain"} if text_only else {}
        self.parts: dict[str, list[psutil.Process]] = {}  # by what they are

    async def start(self) -> None:
        self._secrets = load_or_create(self.directory)
        ports = NatsPorts(free_port(), free_port())
        self._url = f"{'tls' if self._tls else 'nats'}://127.0.0.1:{ports.client}"
        self._names: dict[str, str] = {}  # case id → the driver's name of the case
        self._drafts: dict[str, DraftRef] = {}
        config = self.directory / "nats.conf"
        node = replace(local_node(ports, self.directory / "nats"), tls=self._tls)
        config.write_text(configuration(node, {ACCOUNT: Tenant(self._secrets)}, self._secrets.seeds["system"]))
        write_tokens(self.directory / "tokens.json", self._secrets.tokens)
        await self.spawn([str(server_binary()), "--config", str(config)], key_environment(self._secrets))
        self.parts["nats-server"] = self.processes[-1:]
        self.monitor = f"http://127.0.0.1:{ports.monitor}"
        health = f"http://127.0.0.1:{ports.monitor}/healthz"
        self._http = aiohttp.ClientSession()
        await until(lambda: self._answers(health), "nats-server")
        self._bus = await connect(self._url, "admin", self._secrets.seeds["admin"], ca_file=self._ca_file)
        await provision(self._bus)
        for names in [SERVICES] if self._together else [[name] for name in SERVICES] * self._copies:
            port = free_port()
            if "approval" in names:
                self.api = f"http://127.0.0.1:{port}"
            await self.spawn(
                [sys.executable, "-m", "bench.systems.countersign_service", *names], self._environment(port)
            )
            self.parts.setdefault(" ".join(names), []).append(self.processes[-1])
            await until(partial(self._answers, f"http://127.0.0.1:{port}/healthz"), "a service")
        await self._watch(self._bus)

    def _environment(self, port: int) -> dict[str, str]:
        trusted = {"COUNTERSIGN_NATS_CA_FILE": str(self._ca_file)} if self._ca_file else {}
        return (
            trusted
            | self._contents
            | {
                "COUNTERSIGN_NATS_URL": self._url,
                "BENCH_SEEDS": json.dumps(self._secrets.seeds),
                "COUNTERSIGN_TOKENS_FILE": str(self.directory / "tokens.json"),
                "COUNTERSIGN_ORGANIZATION": ORGANIZATION,
                "BENCH_PORT": str(port),
            }
        )

    async def _answers(self, url: str) -> bool:
        try:
            async with self._http.get(url) as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    async def _watch(self, bus: NatsConnection) -> None:
        """Reports come from the stream: an event counts when it is stored."""

        async def on_event(message: Msg) -> None:
            _, _, case, event = message.subject.split(".")
            name = self._names.get(case, "")
            if event == "review-requested":
                body = CASE_EVENT_ADAPTER.validate_json(message.data)
                assert isinstance(body, ReviewRequested)
                self._drafts[name] = body.draft
            self.happened("review" if event == "review-requested" else "filed", name)

        config = ConsumerConfig(
            filter_subjects=["discharge.*.*.review-requested", "discharge.*.*.filed"],
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.NEW,
        )
        await bus.jetstream.subscribe("", stream="DISCHARGE", config=config, cb=on_event)

    async def begin(self, case: str) -> None:
        self._names[case_id(ORGANIZATION, case)] = case
        body = b'{"encounter_id":"%s"}' % case.encode()
        await self._bus.publish(encounter_subject("discharged", "ward", case), body, stream="EHR")

    async def approve(self, case: str) -> None:
        url = f"{self.api}/v1/reviews/{case_id(ORGANIZATION, case)}/approve"
        headers = {
            "Authorization": f"Bearer {self._secrets.tokens['physician']}",
            "If-Match": f'"{self._drafts[case].digest}"',
        }
        everything = range(self._drafts[case].to_settle or 0)
        settled = {
            "acknowledged": list(everything),
            "resolutions": [{"sentence": index, "how": "confirmed"} for index in everything],
        }
        async with self._http.post(url, headers=headers, json=settled, raise_for_status=True):
            pass

    @property
    def session(self) -> aiohttp.ClientSession:
        return self._http

    def token(self, role: str) -> str:
        return self._secrets.tokens[role]

    async def stop(self) -> None:
        await self._bus.close()
        await self._http.close()
        await self.end_all()

    def stored(self) -> int:
        return bytes_in(self.directory / "nats")


if __name__ == "__main__":
    options = {item for item in sys.argv if item.startswith("--")}
    sys.argv = [item for item in sys.argv if item not in options]
    main(lambda directory: Countersign(directory, together="--together" in options, text_only="--text-only" in options))
