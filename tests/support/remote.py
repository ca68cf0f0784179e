"""An installation whose services are processes of their own, reached by HTTP with tokens: no `access.json`.

In the test's process are only what is not ours: the EHR, the model server, the mail server and a webhook.
"""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import yaml

from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from cli.stack.triton import EMBEDDER
from sandbox_ehr.app import Sandbox, create_app
from shared.messaging.dead_letter_queue import FailedMessage, dead_letter
from shared.messaging.topology import consumer
from tests.support import http
from tests.support.backup import as_user
from tests.support.channels import Mailbox, Webhook, channels, write_directory
from tests.support.command import run
from tests.support.ehr import sandbox, stays
from tests.support.knowledge import Library
from tests.support.model_api import KEY, MODELS, ModelServer, model_server
from tests.support.physician import approval_body, unconfirmed_sentences
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer
from tests.support.serving import run_command

ROOT = Path(__file__).parents[2]
MODULES = {
    "ingest": "services.ingest.main",
    "drafter": "services.drafter.main",
    "approval": "services.approval.main",
    "knowledge": "tests.support.knowledge_process",
}
ROLES = ("operator", "auditor", "physician", "editor")
SENDER = {"name": "engine", "peers": ["127.0.0.1"], "zone": "UTC"}
PATIENCE_S = 60.0


class Remote:
    """The running installation; `parts` are its processes, which can be killed and started again."""

    def __init__(self, directory: Path, ehr: Sandbox, ehr_url: str, model: ModelServer) -> None:
        self.directory, self.ehr, self.model = directory, ehr, model
        (directory / "bus").mkdir()
        self.server = NatsServer(directory / "bus")
        self.tokens = self.server.secrets.tokens
        write_tokens(directory / "tokens.json", self.tokens)
        self.library = Library(directory / "library")
        self.mailbox: Mailbox
        self.webhook: Webhook
        self.pager = directory / "pager"  # has the address of the channel
        self.hl7_port = free_port()
        self.urls = {name: f"http://127.0.0.1:{free_port()}" for name in MODULES}
        self.parts = {name: self._part(name, ehr_url) for name in MODULES}

    def _part(self, name: str, ehr_url: str) -> ServiceProcess:
        url, seeds = self.urls[name], self.server.secrets.seeds
        endpoints = self.directory / "endpoints.yaml"
        declared = {"name": "drafter", "kind": "openai", "url": self.model.url, "model": MODELS["openai"]}
        endpoints.write_text(yaml.safe_dump({"endpoints": [declared | {"key_variable": "MODEL_KEY"}]}))
        environment = {
            "COUNTERSIGN_MODE": "demo",
            "COUNTERSIGN_NATS_URL": self.server.url,
            "COUNTERSIGN_NATS_MONITOR_URL": f"http://127.0.0.1:{self.server.ports.monitor}",
            "COUNTERSIGN_NATS_SEED": seeds["embedder" if name == "knowledge" else name],
            "COUNTERSIGN_TOKENS_FILE": str(self.directory / "tokens.json"),
            "COUNTERSIGN_PORT": url.rpartition(":")[2],
            "COUNTERSIGN_EHR_URL": ehr_url,
            "COUNTERSIGN_GENERATION_ENDPOINTS": str(endpoints),
            "COUNTERSIGN_KNOWLEDGE_FILE": str(self.library.file),
            "COUNTERSIGN_KNOWLEDGE_TOKENIZER": str(EMBEDDER / "tokenizer.json"),
            "COUNTERSIGN_DRIFT_DECISIONS": "100",
            "COUNTERSIGN_DIRECTORY": str(self.directory / "people.yaml"),
            "COUNTERSIGN_WEBHOOK_INTERNAL_HOSTS": "127.0.0.1",
            "MODEL_KEY": KEY,
            "PYTHONPATH": str(ROOT),
        }
        if name == "ingest":
            senders = self.directory / "senders.json"
            senders.write_text(json.dumps({"senders": [SENDER]}))
            environment |= {"COUNTERSIGN_HL7_PORT": str(self.hl7_port), "COUNTERSIGN_HL7_SENDERS": str(senders)}
        if name == "knowledge":
            environment |= {"EVALUATOR_SEED": seeds["evaluator"]}
            environment |= {"COUNTERSIGN_QDRANT_DIRECTORY": str(self.directory / "qdrant")}
        command, log = [sys.executable, "-m", MODULES[name]], self.directory / f"{name}.log"
        return ServiceProcess(name, command, f"{url}/healthz", log, environment, patience=PATIENCE_S)

    async def start(self) -> None:
        self.server.start()
        await self.server.provision()
        for part in self.parts.values():
            part.start()
        for part in self.parts.values():
            await asyncio.to_thread(part.wait)

    def restart(self, name: str) -> None:
        """As an orchestrator does: a new process with the files as they are now."""
        self.parts[name].kill()
        self.parts[name].start()
        self.parts[name].wait()

    def stop(self) -> None:
        for part in self.parts.values():
            part.kill()
        self.server.kill()

    def add_contexts(self) -> None:
        """What a person has on a machine of their own: addresses and tokens."""
        for role in ROLES:
            file = self.directory / f"{role}.token"
            file.write_text(self.tokens[role])
            done = run_command(
                *("context", "add", role, "--token-file", str(file), "--url", self.urls["approval"]),
                *("--ingest-url", self.urls["ingest"], "--evaluator-url", self.urls["knowledge"]),
            )
            assert done.code == 0, done
        assert run_command("context", "use", "operator").code == 0

    # ------------------------------------------------------------------ what happens in the hospital

    def call(self, role: str, method: str, path: str, service: str = "approval", **sent: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} | sent.pop("headers", {})
        return http.request(method, f"{self.urls[service]}{path}", headers=headers, timeout=30, **sent)

    def stay(self, encounter: str) -> str:
        """Put a stay into the EHR, a copy of the seed's first one; returns its Encounter id."""
        found = self.ehr.store.get("Encounter", stays()[0])
        assert found is not None
        self.ehr.store.put(found | {"id": encounter})
        return encounter

    def discharge(self, encounter: str) -> str:
        sent = {"encounter_id": encounter, "department": "internal-medicine"}
        answer = self.call("ingest", "POST", "/v1/encounters/discharged", "ingest", json=sent)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["case_id"])

    def reaches(self, case_id: str, state: str) -> dict[str, Any]:
        """Wait until the case is in `state`."""

        def there() -> dict[str, Any] | None:
            case: dict[str, Any] = self.call("auditor", "GET", f"/v1/cases/{case_id}").json()
            return case if case.get("state") == state else None

        found: dict[str, Any] = until(there, f"{case_id} to be {state}")
        return found

    def sign(self, encounter: str) -> str:
        """Discharge and countersign; returns the case, whose document is not filed yet."""
        case_id = self.discharge(encounter)
        self.reaches(case_id, "awaiting-review")
        self.approve(case_id)
        return case_id

    def approve(self, case_id: str) -> None:
        draft = self.call("physician", "GET", f"/v1/reviews/{case_id}").json()["draft"]
        path, seen, body = f"/v1/reviews/{case_id}/approve", {"If-Match": f'"{draft["digest"]}"'}, approval_body(draft)
        answer = self.call("physician", "POST", path, headers=seen, json=body)
        if own := unconfirmed_sentences(answer):
            answer = self.call("physician", "POST", path, headers=seen, json=body | {"written": own})
        assert answer.status_code == 200, answer.text


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE_S) -> Any:
    """Wait for `condition` to be true; returns its value."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        time.sleep(0.05)
    return value


def run_json(*words: str, code: int = 0) -> Any:
    """What a command prints as JSON."""
    done = run_command(*words, "--json")
    assert done.code == code, done
    return json.loads(done.out)


def run_program(*words: str, code: int = 0, environment: dict[str, str] | None = None) -> Any:
    """What the installed program prints as JSON, run as a process that knows contexts and the environment alone."""
    more = {"PYTHONPATH": str(ROOT)} | (environment or {})
    done = run(*words, "--json", **more)  # type: ignore[arg-type]
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def refused(*words: str, code: int) -> str:
    """The sentence with which a command ends."""
    done = run_command(*words)
    assert (done.code, done.out) == (code, ""), done
    return done.err


async def bury(installation: Remote, name: str, subject: str, *bodies: bytes) -> None:
    """Dead letters of a consumer."""
    failed = consumer(name)
    async with as_user(installation.server, failed.service) as bus:
        for number, body in enumerate(bodies, 1):
            await dead_letter(bus, failed, FailedMessage(failed.stream, number, subject, {}, body), "no answer", 3)


@contextmanager
def served_in_thread(app: Any) -> Iterator[str]:
    """Serve an application from a thread; yields its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the server")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)


@contextmanager
def remote(directory: Path) -> Iterator[Remote]:
    """The installation, running."""
    ehr = sandbox()
    with ExitStack() as stack:
        url = stack.enter_context(served_in_thread(create_app(ehr)))
        made = Remote(directory, ehr, f"{url}/fhir", stack.enter_context(model_server("openai")))
        made.mailbox, made.webhook = stack.enter_context(channels())
        made.pager.write_text(made.webhook.address)
        pager = {"url_file": str(made.pager), "name": "pager"}
        write_directory(directory / "people.yaml", pager)
        stack.callback(made.stop)
        asyncio.run(made.start())
        yield made
