"""The stack under proof: every part a process, every connection between them through a proxy that can be cut."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from cli.stack import triton
from cli.stack.access import write_private
from cli.stack.certificates import (
    CA,
    CA_KEY,
    CERTIFICATE,
    KEY,
    CertificatePair,
    certificate_text,
    key_text,
    make_server,
)
from cli.stack.nats_config import SYNC_FOR_RESTORE
from cli.stack.ports import free_port
from cli.stack.triton import TritonPorts
from shared.runtime.authentication import ApiToken, ApiTokens, token_digest
from tests.proof.collector import Collector
from tests.proof.model_server import MODEL
from tests.proof.tcp_proxy import TcpProxy
from tests.support.patients import VISITS
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer

SERVICES = ("ingest", "drafter", "approval")
UPGRADE_ORDER = ("approval", "drafter", "ingest")  # as docs/how-to/upgrade.md asks
ATTENDING, COLLEAGUE, SUPERVISOR = "Practitioner/DR-IM-006", "Practitioner/DR-IM-005", "Practitioner/supervisor-ward"
ROOT = Path(__file__).parents[2]
TRITON_MODEL = "drafter-scripted"  # no language model, in Triton itself
SEED_TIMEOUT_S = 600.0  # seconds in which the sandbox has read its resources: thousands of stays take their time
START_TIMEOUT_S = 180.0  # and a service is there: the machine may have much else to do
STOP_TIMEOUT_S = 10.0  # seconds in which a service has to end when it is told to
ROOM, NO_ROOM = '"jetstream": "enabled"', '"jetstream": {"max_file": 1000, "max_mem": 0}'
WARD, QUICK, ELSEWHERE = "ward", "quick", "elsewhere"
PEOPLE: Mapping[str, dict[str, Any]] = {
    "ingest": {"role": "ingest"},
    "operator": {"role": "operator"},
    "physician": {"role": "physician", "practitioner": ATTENDING, "departments": (WARD, QUICK)},
    "colleague": {"role": "physician", "practitioner": COLLEAGUE, "departments": (WARD, QUICK)},
    "supervisor": {"role": "supervisor", "practitioner": SUPERVISOR, "departments": (WARD, QUICK)},
    "stranger": {"role": "physician", "practitioner": COLLEAGUE, "departments": (ELSEWHERE,)},
}


class ProofStack:
    def __init__(
        self,
        directory: Path,
        seed: Path,
        clocks: str,
        contents: str,
        *,
        with_triton: bool = False,
        code: Path = ROOT,
    ) -> None:
        """`seed`: Bundles that the EHR begins with; `clocks`: when the department `quick` escalates; `contents`: what
        the EHR takes in one document; `with_triton`: the real model server takes the place of the light one; `code`:
        folder with the version of the services that is there before `upgrade`.
        """
        self._code = code
        self._contents = contents
        self._model = TRITON_MODEL if with_triton else MODEL
        self.directory = directory
        self.logs = directory / "logs"
        self.logs.mkdir()
        bus = directory / "bus"
        bus.mkdir()
        self.server = NatsServer(bus, tls=True)
        self.tokens = {name: f"{name}-{os.urandom(12).hex()}" for name in PEOPLE}
        self.checkpoints = directory / "checkpoints"
        self.checkpoints.mkdir()
        self._write_files(clocks)
        self._write_senders(prepare=_prepares(code))
        ports = {name: free_port() for name in (*SERVICES, "ehr", "provider")}
        self.links = {
            name: TcpProxy(name, free_port(), target)
            for name, target in (
                ("ehr", ports["ehr"]),
                ("provider", ports["provider"]),
                ("nats", self.server.ports.client),
            )
        }
        self._telemetry = free_port()
        self.adt_port = free_port()
        self._collector = Collector(self._telemetry, self.logs / "telemetry.bin")
        self.ehr_url = f"http://127.0.0.1:{ports['ehr']}/fhir"
        self.urls = {name: f"http://127.0.0.1:{ports[name]}" for name in SERVICES}
        self._triton = TritonPorts(ports["provider"], free_port()) if with_triton else None
        self.parts = {name: self._part(name, ports, seed) for name in ("ehr", "provider", *SERVICES)}

    def _write_files(self, clocks: str) -> None:
        grants = tuple(
            ApiToken.model_validate({"sha256": token_digest(self.tokens[name]), "subject": name} | facts)
            for name, facts in PEOPLE.items()
        )
        write_private(self.directory / "tokens.json", ApiTokens(tokens=grants).model_dump_json())
        everybody = {"supervisor": SUPERVISOR, "deputies": [COLLEAGUE]}
        departments = {"*": everybody, QUICK: {"escalate_after": clocks}}
        (self.directory / "directory.yaml").write_text(json.dumps({"departments": departments}))
        key = Ed25519PrivateKey.generate()
        self.private, self.public = self.directory / "checkpoint.key", self.directory / "checkpoint.pub"
        self.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def _write_senders(self, *, prepare: bool) -> None:
        """`prepare`: ingest knows the setting for pending discharges."""
        sender: dict[str, Any] = {"name": "engine", "zone": "UTC", "visit_system": VISITS, "peers": ["127.0.0.1"]}
        sender["departments"] = {name: name for name in (WARD, QUICK)}
        if prepare:
            sender["prepare_on_pending"] = True
        (self.directory / "senders.yaml").write_text(json.dumps({"senders": [sender]}))

    def _part(self, name: str, ports: Mapping[str, int], seed: Path) -> ServiceProcess:
        log, port = self.logs / f"{name}.log", str(ports[name])
        python = [sys.executable, "-m"]
        if name == "ehr":
            told = ["--notify", f"http://127.0.0.1:{ports['ingest']}/v1/fhir/notifications"]
            options = ["--port", port, "--db", str(self.directory / "ehr.sqlite"), "--seed", str(seed), "--faults"]
            command = [*python, "sandbox_ehr", *options, *told, "--notify-token", self.tokens["ingest"]]
            return ServiceProcess(name, command, f"{self.ehr_url}/metadata", log, cwd=ROOT, patience=SEED_TIMEOUT_S)
        if name == "provider":
            if self._triton is not None:
                return self._model_server(log, self._triton)
            return PortProcess(name, [*python, "tests.proof.model_server", "--port", port], port, log, cwd=ROOT)
        command, health = [*python, f"services.{name}.main"], f"http://127.0.0.1:{port}/healthz"
        environment = self._environment(name, port)
        return ServiceProcess(name, command, health, log, environment, cwd=self._code, patience=START_TIMEOUT_S)

    def _model_server(self, log: Path, ports: TritonPorts) -> ServiceProcess:
        home = triton.server_home(triton.ENVIRONMENT)
        command = triton.command(home, triton.link_backends(home, self.directory), ports, (TRITON_MODEL,), self._region)
        # Its ports are opened when the model is loaded.
        ready = f"http://127.0.0.1:{ports.metrics}/metrics"
        part = ServiceProcess("provider", command, ready, log, triton.process_environment(triton.ENVIRONMENT))
        part.cwd = triton.empty_directory(self.directory / "run")
        part.before = lambda: triton.clear_shared_memory(self._region)
        return part

    @property
    def _region(self) -> str:
        return f"countersign_proof_{os.getpid()}_"

    def _environment(self, name: str, port: str) -> dict[str, str]:
        return {
            "PYTHONPATH": ".",
            "COUNTERSIGN_MODE": "demo",
            "COUNTERSIGN_NATS_URL": f"tls://127.0.0.1:{self.links['nats'].port}",
            "COUNTERSIGN_NATS_CA_FILE": str(self.server.ca_file),
            "COUNTERSIGN_NATS_SEED": self.server.secrets.seeds[name],
            "COUNTERSIGN_TOKENS_FILE": str(self.directory / "tokens.json"),
            "COUNTERSIGN_PORT": port,
            "COUNTERSIGN_EHR_URL": f"http://127.0.0.1:{self.links['ehr'].port}/fhir",
            "COUNTERSIGN_TRITON_URL": f"127.0.0.1:{self.links['provider'].port}",
            "COUNTERSIGN_TRITON_DRAFTER_MODEL": self._model,
            "COUNTERSIGN_DIRECTORY": str(self.directory / "directory.yaml"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._telemetry}",
            "OTEL_METRIC_EXPORT_INTERVAL": "10000",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.2",
            "COUNTERSIGN_EHR_CONTENTS": self._contents,
            "COUNTERSIGN_RECONCILE_EVERY": "PT5S",
            "COUNTERSIGN_CHECKPOINT_DIR": str(self.checkpoints),
            "COUNTERSIGN_CHECKPOINT_KEY_FILE": str(self.private),
            "COUNTERSIGN_CHECKPOINT_EVERY": "PT20S",
            "COUNTERSIGN_HL7_PORT": str(self.adt_port),
            "COUNTERSIGN_HL7_SENDERS": str(self.directory / "senders.yaml"),
        }

    @property
    def takes_adt(self) -> bool:
        """Whether this version of ingest listens for ADT messages; one from before an upgrade may not."""
        return ((self.parts["ingest"].cwd or ROOT) / "services" / "ingest" / "hl7").is_dir()

    @property
    def prepares(self) -> bool:
        """Whether all services know preparations. Ingest is upgraded last."""
        return _prepares(self.parts["ingest"].cwd or ROOT)

    @property
    def rates(self) -> bool:
        """Whether all services know ratings."""
        return ((self.parts["ingest"].cwd or ROOT) / "services" / "approval" / "ratings").is_dir()

    @property
    def names(self) -> list[str]:
        """Everything that can be killed."""
        return [*self.parts, "nats"]

    async def start(self) -> None:
        self.server.start()
        await self.server.provision()
        await self._collector.start()
        for link in self.links.values():
            await link.start()
        await self.start_parts(self.parts)

    async def start_parts(self, names: Mapping[str, ServiceProcess] | tuple[str, ...]) -> None:
        for name in names:
            self.parts[name].start()
        for name in names:
            await asyncio.to_thread(self.parts[name].wait)

    async def stop(self) -> None:
        for link in self.links.values():
            await link.stop()
        for part in self.parts.values():
            part.kill()
        self.server.kill()
        await self._collector.stop()
        if self._triton is not None:
            triton.clear_shared_memory(self._region)

    def kill(self, name: str) -> None:
        self.server.kill() if name == "nats" else self.parts[name].kill()

    async def bring_back(self, name: str) -> None:
        if name == "nats":
            await asyncio.to_thread(self.server.start)
        else:
            await self.start_parts((name,))

    def send(self, name: str, number: signal.Signals) -> None:
        if name == "nats":
            self.server.send(number)
        elif (process := self.parts[name].process) is not None:
            process.send_signal(number)

    async def end(self, name: str) -> bool:
        """SIGTERM, as an upgrade does. Whether it ended in time."""
        process = self.parts[name].process
        assert process is not None
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill(name)
            return False
        return True

    async def upgrade(self) -> list[str]:
        """Replace each service by the version of this checkout. Returns those that did not end in time."""
        late = []
        for name in UPGRADE_ORDER:
            if not await self.end(name):
                late.append(name)
            if name == "ingest":
                self._write_senders(prepare=True)
            self.parts[name].cwd = ROOT
            await self.bring_back(name)
        return late

    def fill_the_disk(self) -> None:
        """The account has no room left for anything."""
        self.server.reload(lambda text: text.replace(ROOM, NO_ROOM))

    def make_room(self) -> None:
        self.server.reload(lambda text: text.replace(NO_ROOM, ROOM))

    def certify(self, made: datetime) -> None:
        """The server has a certificate that was made then; who connects from now on meets it."""
        folder = self.server.directory
        ca = x509.load_pem_x509_certificate((folder / CA).read_bytes())
        key = serialization.load_pem_private_key((folder / CA_KEY).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        found = make_server(CertificatePair(ca, key), ["127.0.0.1"], made)
        write_private(folder / KEY, key_text(found.key))
        (folder / CERTIFICATE).write_text(certificate_text(found.certificate))
        self.server.reload()

    async def restore_a_backup(self, folder: Path) -> None:
        """The services stop, a backup is made, the server loses its disk, and gets it back from the backup."""
        for name in SERVICES:
            self.kill(name)
        await self.command("backup", "--to", str(folder), user="backup")
        self.server.kill()
        shutil.rmtree(self.server.directory / "nats")
        await asyncio.to_thread(self.server.start, SYNC_FOR_RESTORE)
        await self.command("restore", "--from", str(folder), user="admin")
        self.server.kill()
        os.sync()
        await asyncio.to_thread(self.server.start)
        await self.start_parts(SERVICES)
        await self.command("ehr-decisions", "allow", "--reason", "looked at", "--by", "proof", user="operator")
        shutil.rmtree(folder)

    async def verify(self) -> dict[str, Any]:
        """What `countersign audit verify` says."""
        keys = ["--checkpoints", str(self.checkpoints), "--key", str(self.public)]
        said: dict[str, Any] = json.loads(
            await self.command("audit", "verify", *keys, "--json", user="auditor", may_fail=True)
        )
        return said

    async def command(self, *words: str, user: str, may_fail: bool = False) -> str:
        """The output of `countersign`, as a user of the bus."""
        environment = os.environ | {
            "COUNTERSIGN_NATS_URL": self.server.url,
            "COUNTERSIGN_NATS_CA_FILE": str(self.server.ca_file),
            "COUNTERSIGN_NATS_SEED": self.server.secrets.seeds[user],
            "COUNTERSIGN_EHR_URL": self.ehr_url,
            "COUNTERSIGN_QDRANT_URL": ":memory:",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=ROOT,
        )
        out, error = await process.communicate()
        with (self.logs / "commands.log").open("ab") as log:
            log.write(f"{datetime.now(UTC):%H:%M:%S} {words[0]}\n".encode() + error)
        if process.returncode and not may_fail:
            raise RuntimeError(f"countersign {' '.join(words)}: {error.decode()[-1000:]}")
        return out.decode()


def _prepares(code: Path) -> bool:
    return (code / "services" / "ingest" / "preparation").is_dir()


class PortProcess(ServiceProcess):
    """A part without HTTP: healthy when its port takes a connection. `health` is the port."""

    def healthy(self) -> bool:
        with socket.socket() as tried:
            tried.settimeout(1)
            return tried.connect_ex(("127.0.0.1", int(self.health))) == 0
