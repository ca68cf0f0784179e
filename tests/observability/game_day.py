"""`python -m tests.observability.game_day [ALERT …]`: makes alerts fire on a real stack, one after the other.

Takes some minutes, and is no test: it is how these alerts were tried. The rules are ours, without their `for`, and
without the hour after which a document is missing or the EHR was not polled. The alerts about drafters need hundreds
of decisions or hours: docs/reference/verified.md names the tests of what they are computed from.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from cli.stack.certificates import CERTIFICATE, KEY, LIFETIME, certificate_text, key_text, make_authority, make_server
from cli.stack.ports import free_port
from cli.stack.secrets import load_or_create
from sandbox_ehr.notifications import notification
from sandbox_ehr.seed import demo_encounters
from shared.contracts.subjects import encounter_subject
from shared.messaging.connection import NatsConnection, connect
from tests.support.channels import Mailbox, Webhook, channels, write_directory
from tests.support.command import Up, run, up
from tests.support.hl7 import adt
from tests.support.physician import approval_body
from tests.support.prometheus import RULES, Prometheus, prometheus

DEMO = Path(__file__).parents[2] / "deploy/knowledge"
PATIENCE = 420.0  # what has fallen silent is forgotten after five minutes
FLOOD = 150
UNFILED_S = 20  # seconds after which a signed document has to be in the chart: longer than any filing takes here
UNPOLLED_S = 20  # seconds after which the EHR has to be polled again: four times as long as between two polls
CLIENT, SECRET = "countersign", "secret"  # ours at the EHR
SENDER = {"name": "engine", "peers": ["127.0.0.1"], "zone": "UTC", "silent_after": 60}
SUBSCRIPTION = {"name": "demo-ingest", "heartbeat": 10}  # the subject of the token that notifies
LITTLE = '"jetstream": {"max_mem": 0, "max_file": 10000, "max_streams": 64, "max_consumers": 400}'  # bytes


class Ehr:
    """A sandbox EHR with one registered client, which may be given another secret."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}/fhir"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, secret: str) -> None:
        client = ["--client-id", CLIENT, "--client-secret", secret]
        self._process = subprocess.Popen([sys.executable, "-m", "sandbox_ehr", "--port", str(self._port), *client])
        wait(lambda: _answers(f"{self.url}/metadata"), "the EHR")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class GameDay:
    """A stack, who watches it, and everything that can go wrong with it."""

    def __init__(
        self, stack: Up, seen: Prometheus, knowledge: Path, mailbox: Mailbox, webhook: Webhook, ehr: Ehr, mllp: int
    ) -> None:
        self.stack, self.seen, self.knowledge = stack, seen, knowledge
        self.mailbox, self.webhook = mailbox, webhook
        self.ehr, self.mllp = ehr, mllp
        self.encounters = [item.encounter for item in demo_encounters()]

    def discharge(self, encounter: str) -> str:
        sent = {"encounter_id": encounter, "department": "cardiology"}
        answer = self.stack.call("ingest", "POST", "/v1/encounters/discharged", json=sent)
        return str(answer.raise_for_status().json()["case_id"])

    def state(self, case_id: str) -> str:
        return str(self.stack.call("auditor", "GET", f"/v1/cases/{case_id}").json().get("state"))

    def sign(self, encounter: str) -> str:
        """Sign the draft of a new case; returns its id."""
        case_id = self.discharge(encounter)
        wait(lambda: self.state(case_id) == "awaiting-review", "a review")
        review = self.stack.call("physician", "GET", f"/v1/reviews/{case_id}")
        seen = {"If-Match": review.headers["etag"]}
        body = approval_body(review.json()["draft"])
        self.stack.call(
            "physician", "POST", f"/v1/reviews/{case_id}/approve", headers=seen, json=body
        ).raise_for_status()
        return case_id

    def admin(self, work: Callable[[NatsConnection], Any]) -> None:
        """Do `work` as the bus's administrator."""

        async def go() -> None:
            secrets = load_or_create(self.stack.data_dir)
            bus = await connect(self.stack.access["nats_url"], "admin", secrets.seeds["admin"])
            await work(bus)
            await bus.close()

        asyncio.run(go())

    def child(self, name: str) -> psutil.Process:
        everybody = psutil.Process(self.stack.process.pid).children(recursive=True)
        return next(process for process in everybody if name in process.name())

    def pause(self, stream: str, consumer: str, until: str) -> None:
        async def work(bus: NatsConnection) -> None:
            request = json.dumps({"pause_until": until}).encode()
            await bus.client.request(f"$JS.API.CONSUMER.PAUSE.{stream}.{consumer}", request, timeout=5)

        self.admin(work)

    def reconfigure(self, before: str, after: str) -> None:
        config = self.stack.data_dir / "nats.conf"
        text = config.read_text()
        assert before in text
        config.write_text(text.replace(before, after))

    def refresh(self, *options: str) -> None:
        done = run("knowledge", "refresh", "--wait", *options, "--data-dir", str(self.stack.data_dir))
        print(done.stdout.strip() or done.stderr.strip())

    # ------------------------------------------------------------------ causes

    def feed_ends(self) -> None:
        """One message, then nothing for as long as the sender's settings allow."""
        message = self.stack.data_dir / "message.hl7"
        message.write_bytes(adt("A08"))
        print(run("hl7", "send", str(message), "--port", str(self.mllp)).stdout.strip())

    def notifications_end(self) -> None:
        """One notification, then none, not even a heartbeat."""
        patient = {"resourceType": "Patient", "id": "p1", "meta": {"lastUpdated": datetime.now(UTC).isoformat()}}
        sent = notification(patient, 1)
        self.stack.call("ingest", "POST", "/v1/fhir/notifications", json=sent).raise_for_status()

    def client_refused(self) -> None:
        """The EHR no longer knows our secret, and none of the tokens that it gave."""
        self.ehr.kill()
        self.ehr.start("another")
        self.discharge(self.encounters[4])

    def channels_down(self) -> None:
        self.mailbox.refuses = self.webhook.down = True
        self.discharge(self.encounters[0])

    def unknown_patient(self) -> None:
        self.mailbox.refuses = self.webhook.down = False
        self.discharge("nobody-knows")

    def timers_unheard(self) -> None:
        self.pause("TIMERS", "approval-escalate", "2099-01-01T00:00:00Z")
        self.discharge(self.encounters[1])

    def nothing_filed(self) -> None:
        self.pause("DISCHARGE", "approval-file", "2099-01-01T00:00:00Z")
        self.sign(self.encounters[5])

    def flood(self) -> None:
        self.pause("DISCHARGE", "approval-file", "2000-01-01T00:00:00Z")
        self.pause("TIMERS", "approval-escalate", "2000-01-01T00:00:00Z")
        self.pause("DISCHARGE", "drafter-extract", "2099-01-01T00:00:00Z")

        async def work(bus: NatsConnection) -> None:
            for number in range(FLOOD):
                subject = encounter_subject("discharged", "cardiology", f"flood-{number}")
                await bus.publish(subject, json.dumps({"encounter_id": f"flood-{number}"}).encode(), stream="EHR")

        self.admin(work)

    def forged(self) -> None:
        self.pause("DISCHARGE", "drafter-extract", "2000-01-01T00:00:00Z")
        case_id = self.sign(self.encounters[2])
        wait(lambda: self.state(case_id) == "filed", "a document")

        async def work(bus: NatsConnection) -> None:
            query = {"seq": 1, "next_by_subj": f"discharge.*.{case_id}.filed"}
            (stored,) = await bus.direct_get("DISCHARGE", query)
            headers = {name: value for name, value in (stored.headers or {}).items() if name.startswith("ce-")}
            await bus.publish(stored.headers["Nats-Subject"], stored.data, stream="DISCHARGE", headers=headers)

        self.admin(work)

    def rights_gone(self) -> None:
        self.reconfigure('"discharge.*.*.context-extracted"', '"discharge.*.*.nothing"')
        self.child("nats-server").send_signal(1)  # SIGHUP: read the configuration again
        self.discharge(self.encounters[3])

    def models_stand_still(self) -> None:
        self.reconfigure('"discharge.*.*.nothing"', '"discharge.*.*.context-extracted"')
        self.child("nats-server").send_signal(1)
        self.child("tritonserver").suspend()

    def golden_queries_unanswerable(self) -> None:
        self.child("tritonserver").resume()
        golden = {"id": "q", "query": "weigh every morning", "relevant": [{"doc_id": "nowhere"}]}
        (self.knowledge / "golden.jsonl").write_text(json.dumps(golden) + "\n")
        self.refresh("--evaluate-only")

    def no_such_model(self) -> None:
        declared = (DEMO / "knowledge.yaml").read_text()
        wrong = declared.replace("embedder: embedder", "attempts_apart: PT1S\nembedder: nothing")
        (self.knowledge / "knowledge.yaml").write_text(wrong)
        self.refresh()

    def certificate_near_its_end(self) -> None:
        """Shown by a server that takes plain clients, too: ours are on loopback."""
        authority = make_authority(datetime.now(UTC) - LIFETIME)
        pair = make_server(authority, ["localhost"], datetime.now(UTC) - LIFETIME + timedelta(days=14))
        certificate, key = self.stack.data_dir / CERTIFICATE, self.stack.data_dir / KEY
        certificate.write_text(certificate_text(pair.certificate))
        key.write_text(key_text(pair.key))
        shown = json.dumps({"cert_file": str(certificate), "key_file": str(key)})
        self.reconfigure('"jetstream": {', f'"allow_non_tls": true, "tls": {shown}, "jetstream": {{')
        self.child("nats-server").kill()  # a reload does not turn TLS on

    def account_given_little(self) -> None:
        self.reconfigure('"jetstream": "enabled"', LITTLE)
        self.child("nats-server").send_signal(1)

    def power_saved(self) -> None:
        if LITTLE in (self.stack.data_dir / "nats.conf").read_text():
            self.reconfigure(LITTLE, '"jetstream": "enabled"')
        self.reconfigure('"sync_interval": "always"', '"sync_interval": "2m"')
        self.child("nats-server").kill()

    def stopped(self) -> None:
        self.stack.stop()


def wait(condition: Callable[[], Any], what: str) -> float:
    """Seconds until it was so."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE, f"waited for {what}"
        time.sleep(0.2)
    return time.monotonic() - started


def impatient(directory: Path) -> Path:
    """Our rules without their `for`, and with seconds instead of an hour: a cause is seen at once."""
    rules = yaml.safe_load(RULES.read_text())
    for rule in rules["groups"][0]["rules"]:
        rule.pop("for", None)
        if (seconds := {"DocumentNotInChart": UNFILED_S, "PollFails": UNPOLLED_S}.get(rule.get("alert"))) is not None:
            assert "> 3600" in rule["expr"]
            rule["expr"] = rule["expr"].replace("> 3600", f"> {seconds}")
    (directory / "rules.yml").write_text(yaml.safe_dump(rules))
    return directory / "rules.yml"


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.HTTPError:
        return False


def main() -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        seen = stack.enter_context(prometheus(directory, impatient(directory)))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", seen.otlp)
        patch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "500")
        mailbox, webhook = stack.enter_context(channels())
        ehr, mllp = Ehr(), free_port()
        stack.callback(ehr.kill)
        ehr.start(SECRET)
        patch.setenv("COUNTERSIGN_EHR_CLIENT_ID", CLIENT)
        patch.setenv("COUNTERSIGN_EHR_CLIENT_SECRET", SECRET)
        (directory / "senders.json").write_text(json.dumps({"senders": [SENDER]}))
        patch.setenv("COUNTERSIGN_HL7_SENDERS", str(directory / "senders.json"))
        (directory / "subscriptions.yaml").write_text(yaml.safe_dump({"subscriptions": [SUBSCRIPTION]}))
        patch.setenv("COUNTERSIGN_FHIR_SUBSCRIPTIONS", str(directory / "subscriptions.yaml"))
        patch.setenv("COUNTERSIGN_FHIR_POLL_SECONDS", "5")
        knowledge = directory / "knowledge"
        shutil.copytree(DEMO, knowledge)
        (knowledge / "uploads").mkdir(exist_ok=True)
        people = write_directory(directory / "people.yaml", mailbox.address, webhook.address)
        arguments = ["--ehr-url", ehr.url, "--hl7-port", str(mllp), "--directory", str(people)]
        arguments += ["--escalate-after", "1s,2s,3s", "--drafter-model", "drafter-scripted"]
        arguments += ["--knowledge", str(knowledge / "knowledge.yaml")]
        running = stack.enter_context(up(directory / "data", free_port(), *arguments))
        day = GameDay(running, seen, knowledge, mailbox, webhook, ehr, mllp)
        # An increase is seen by who has seen the beginning.
        wait(lambda: seen.query("countersign_knowledge_refreshes_total"), "the counters")
        day.refresh()
        causes: dict[str, Callable[[], Any]] = {
            "FeedSilent": day.feed_ends,
            "SubscriptionSilent": day.notifications_end,
            "ChannelFails": day.channels_down,
            "DeadLetters": day.unknown_patient,
            "CasesStopped": lambda: None,  # the same patient
            "ReviewNotEscalated": day.timers_unheard,
            "DocumentNotInChart": day.nothing_filed,
            "LagGrows": day.flood,
            "TrailBroken": day.forged,
            "NatsRefuses": day.rights_gone,
            "TritonNotReady": day.models_stand_still,
            "KnowledgeWorse": day.golden_queries_unanswerable,
            "RefreshFailed": day.no_such_model,
            "EhrNotAnswering": ehr.kill,
            "PollFails": lambda: None,  # of the same EHR
            "EhrRefusesClient": day.client_refused,
            "NatsCertificateEnds": day.certificate_near_its_end,
            "NatsStorageFills": day.account_given_little,
            "NatsNotSyncing": day.power_saved,
            "TelemetryMissing": day.stopped,
        }
        for alert, cause in causes.items():
            if sys.argv[1:] and alert not in sys.argv[1:]:
                continue
            assert alert not in seen.firing(), f"{alert} fires before its cause"
            cause()
            took = wait(lambda alert=alert: alert in seen.firing(), alert)  # type: ignore[misc]
            print(f"{alert} fires {took:.0f} s after its cause", flush=True)


if __name__ == "__main__":
    main()
