"""Countersign on one machine: nats-server and Triton as child processes, all services in this process."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp

from cli.errors import CommandError
from cli.stack import nats, triton
from cli.stack.access import ERASURES, StackAccess, write_access
from cli.stack.demo_users import demo_users
from cli.stack.ehr_client import JWKS, ensure_client_keys
from cli.stack.ehr_settings import DEMO_CLIENT, demo_ehr
from cli.stack.hl7 import hl7_settings
from cli.stack.knowledge import KnowledgePaths, embedding_models, knowledge_paths
from cli.stack.lock import try_lock
from cli.stack.ports import free_port, require_free
from cli.stack.secrets import Secrets, load_or_create, write_tokens
from cli.stack.signals import run_until_signal
from sandbox_ehr.app import Sandbox
from sandbox_ehr.app import create_app as create_sandbox
from sandbox_ehr.notifications import SubscriptionNotifier
from sandbox_ehr.seed import demo_encounters, seed
from sandbox_ehr.smart import AuthorizationServer, RegisteredClient, keys_at
from sandbox_ehr.store import Store
from services.approval.main import build as build_approval
from services.approval.settings import ApprovalSettings, Escalations
from services.drafter.main import build as build_drafter
from services.drafter.settings import DrafterSettings
from services.embedder.main import build as build_embedder
from services.embedder.settings import EmbedderSettings
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from services.ingest.main import build as build_ingest
from services.ingest.settings import IngestSettings
from shared.knowledge.vector_store import VectorStore
from shared.runtime.generation_endpoints import EndpointSettings
from shared.runtime.service import UVICORN_DEFAULTS, Service, create_app, tune_gc, tune_process
from shared.runtime.settings import EhrSettings, KnowledgeSettings, QdrantSettings, TritonSettings
from shared.runtime.telemetry import start_telemetry

Progress = Callable[[str], None]
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """Options of `countersign up`."""

    data_dir: Path
    port: int
    escalate_after: Escalations
    ehr_url: str | None = None
    ehr_token: SecretStr | None = None
    drafter_model: str = "drafter"
    knowledge: Path | None = None  # file that declares the knowledge base; default: the one in the data directory
    qdrant_url: str | None = None  # Qdrant server to use instead of the engine in this process
    directory: Path | None = None  # file with supervisors and channels; default: the one that the environment names
    hl7_port: int = 0  # of the listener for ADT messages; 0: as the environment says


class QuietServer(uvicorn.Server):
    """A server that leaves signals to the stack, which stops its child processes after its services."""

    def capture_signals(self) -> Any:
        return nullcontext()


@asynccontextmanager
async def running_stack(options: StackOptions, progress: Progress) -> AsyncIterator[StackAccess]:
    """Start the stack and yield its addresses; stop everything in order at the end. Raises CommandError."""
    async with AsyncExitStack() as stack:
        logs = _prepare(options, stack)
        secrets = load_or_create(options.data_dir)
        write_tokens(options.data_dir / "tokens.json", secrets.tokens)
        nats_ports = nats.NatsPorts(free_port(), free_port())
        triton_ports = triton.TritonPorts(free_port(), free_port())
        triton.server_home(triton.ENVIRONMENT)  # report a missing server before anything is started
        progress("starting the message bus")
        bus_server = nats.make_process(options.data_dir, secrets, nats_ports, logs)
        await bus_server.start()
        stack.push_async_callback(bus_server.stop)
        await nats.check_durability(nats_ports)
        nats_url = f"nats://{HOST}:{nats_ports.client}"
        await nats.provision_as_admin(nats_url, secrets, options.data_dir / "provisioned")
        progress("loading the models")
        file = knowledge_paths(options.data_dir, options.knowledge, demo=options.ehr_url is None).file
        drafting = () if options.drafter_model in EndpointSettings().read() else (options.drafter_model,)
        models = (*drafting, *await embedding_models(nats_url, secrets.seeds["admin"], file))
        model_server = triton.make_process(options.data_dir, triton_ports, models, logs)
        await model_server.start()
        stack.push_async_callback(model_server.stop)
        progress("starting the services")
        base_url = f"http://{HOST}:{options.port}"
        access = replace(
            _access(options, secrets, base_url, nats_url),
            nats_monitor_url=f"http://{HOST}:{nats_ports.monitor}",
            triton_url=f"{HOST}:{triton_ports.grpc}",
            triton_metrics=f"{HOST}:{triton_ports.metrics}",
        )
        app = _app(options, secrets, access, stack)
        tune_gc()
        tune_process()
        await stack.enter_async_context(_serving(app, options.port))
        write_access(options.data_dir, access)
        yield access


def _prepare(options: StackOptions, stack: AsyncExitStack) -> Path:
    """Lock the data directory, check the port, and return the folder for logs."""
    directory = options.data_dir
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        logs = directory / "logs"
        logs.mkdir(exist_ok=True)
        ours = stack.enter_context(try_lock(directory))
    except OSError as error:
        raise CommandError(f"The data directory {directory} cannot be used: {error.strerror}.") from None
    if not ours:
        raise CommandError(f"Another stack is running on {directory}.")
    require_free(options.port, "--port")
    if options.hl7_port:
        require_free(options.hl7_port, "--hl7-port")
    return logs


def _access(options: StackOptions, secrets: Secrets, base_url: str, nats_url: str) -> StackAccess:
    own = options.ehr_url is None
    return StackAccess(
        base_url=base_url,
        tokens=secrets.tokens,
        demo_encounters=[item.encounter for item in demo_encounters()] if own else [],
        nats_url=nats_url,
        ehr_url=options.ehr_url or f"{base_url}/fhir",
        drafter_model=options.drafter_model,
        hl7_port=options.hl7_port,
    )


def _app(options: StackOptions, secrets: Secrets, access: StackAccess, stack: AsyncExitStack) -> FastAPI:
    """Return one app with all services, and the sandbox EHR under /fhir unless another EHR is configured."""
    own = options.ehr_url is None
    ensure_client_keys(options.data_dir, int(time.time()), demo=own)
    paths = knowledge_paths(options.data_dir, options.knowledge, demo=own)
    # All services share it: only one process can open a shard.
    base = QdrantSettings(url=options.qdrant_url, directory=paths.vectors).connect()
    stack.push_async_callback(base.close)
    store = _sandbox(options, stack)
    services = _services(options, secrets, access, paths, base, store)
    app = create_app(services, on_stop=start_telemetry("countersign").close)
    if store is not None:
        app.mount("/", _sandbox_app(store, secrets, access, stack))
    return app


def _services(
    options: StackOptions,
    secrets: Secrets,
    access: StackAccess,
    paths: KnowledgePaths,
    base: VectorStore,
    store: Store | None,
) -> list[Service]:
    """Return the five services, built and not started. `store` is that of the sandbox EHR."""
    common: dict[str, Any] = {
        "nats_url": access.nats_url,
        "nats_monitor_url": access.nats_monitor_url,
        "tokens_file": options.data_dir / "tokens.json",
    }

    def settings_of(service: str) -> dict[str, Any]:
        return common | {"nats_seed": SecretStr(secrets.seeds[service])}

    ehr = _ehr_settings(options, access)
    triton_settings = TritonSettings(url=access.triton_url, drafter_model=options.drafter_model)
    knowledge = KnowledgeSettings(file=paths.file, tokenizer=triton.EMBEDDER / "tokenizer.json", uploads=paths.uploads)
    hl7 = hl7_settings(options.hl7_port, options.data_dir, demo=options.ehr_url is None)
    ingest = settings_of("ingest") | _published_keys(options.data_dir)
    approval = ApprovalSettings(
        **settings_of("approval"), **_approval_settings(options), ehr=ehr, public_url=access.base_url
    )
    embedder = EmbedderSettings(**settings_of("embedder"), triton=triton_settings, knowledge=knowledge)
    evaluator = EvaluatorSettings(
        **settings_of("evaluator"),
        triton=triton_settings,
        knowledge=knowledge,
        public_url=access.base_url,
        approval_url=access.base_url,
    )
    return [
        build_ingest(IngestSettings(**ingest, ehr=ehr, hl7=hl7, knowledge=knowledge)),
        build_embedder(embedder, base=base),
        build_drafter(DrafterSettings(**settings_of("drafter"), ehr=ehr, triton=triton_settings), base=base),
        build_approval(approval, people=demo_users(store) if store and not approval.oidc.issuer else ()),
        build_evaluator(evaluator, base=base),
    ]


def _ehr_settings(options: StackOptions, access: StackAccess) -> EhrSettings:
    if options.ehr_url is None:
        return demo_ehr(access.ehr_url, options.data_dir)
    return EhrSettings(url=access.ehr_url, token=options.ehr_token)


def _approval_settings(options: StackOptions) -> dict[str, Any]:
    """Return the options of the stack as settings of approval, and the files that the environment does not name."""
    settings: dict[str, Any] = {"escalate_after": options.escalate_after}
    if options.directory:
        settings["directory"] = options.directory
    if "COUNTERSIGN_ERASURE_DIR" not in os.environ:
        settings["erasure_dir"] = options.data_dir / ERASURES
    return settings


def _sandbox_app(store: Store, secrets: Secrets, access: StackAccess, stack: AsyncExitStack) -> ASGIApp:
    """Return the sandbox EHR. It notifies the services of Encounters and ended Tasks, as by Subscriptions."""
    notifications = f"{access.base_url}/v1/fhir/notifications"
    http, token = httpx.AsyncClient(trust_env=False), secrets.tokens["ingest"]
    subscriber = SubscriptionNotifier(http, notifications, token, encounters=True)
    stack.push_async_callback(subscriber.close)
    return create_sandbox(Sandbox(store, subscriber=subscriber, authorization=_authorization(access)))


def _published_keys(data_dir: Path) -> dict[str, Any]:
    """Return the setting of ingest for the keys that it publishes, unless the environment names others."""
    return {} if "COUNTERSIGN_EHR_CLIENT_JWKS_FILE" in os.environ else {"ehr_client_jwks_file": data_dir / JWKS}


def _authorization(access: StackAccess) -> AuthorizationServer:
    """Return the sandbox's authorization server. It fetches our published keys, as an EHR does.

    People may look at the chart without a token: its patients are synthetic.
    """
    url = f"{access.base_url}/.well-known/jwks.json"
    return AuthorizationServer([RegisteredClient(DEMO_CLIENT, keys_at(url), url)], anonymous=True)


def _sandbox(options: StackOptions, stack: AsyncExitStack) -> Store | None:
    """Return the seeded store of the sandbox EHR; None if another EHR is configured."""
    if options.ehr_url is not None:
        return None
    store = _sandbox_store(options.data_dir / "sandbox-ehr.sqlite")
    stack.callback(store.close)
    seed(store)
    return store


def _sandbox_store(file: Path) -> Store:
    try:
        return Store(file)
    except (sqlite3.DatabaseError, ValueError):
        raise CommandError(
            f"The data directory is damaged: {file} cannot be read. Restore it from a backup, or start elsewhere with "
            "--data-dir."
        ) from None


@asynccontextmanager
async def _serving(app: FastAPI, port: int) -> AsyncIterator[None]:
    config = uvicorn.Config(
        app, host=HOST, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=5, **UVICORN_DEFAULTS
    )
    server = QuietServer(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        if task.done():
            task.result()
            raise CommandError("The services could not be started: see the messages above.")
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def run(options: StackOptions, progress: Progress, on_ready: Callable[[StackAccess], None]) -> None:
    """Run until SIGINT or SIGTERM."""

    async def serve() -> None:
        async with running_stack(options, progress) as access:
            on_ready(access)
            await asyncio.Event().wait()

    await run_until_signal(serve())
