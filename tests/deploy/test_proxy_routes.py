"""The proxy of compose.yaml, whose locations the guide shows, leads each route to its service: with the real nginx."""

import re
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from cli.stack.ports import free_port
from docs._generate.http_api import openapi
from services.approval.routes import LAUNCH_ROUTERS, PAGE_ROUTERS, PROVIDER_ROUTERS
from services.evaluator.routes import PAGE_ROUTERS as EVALUATOR_PAGES
from tests.deploy.charts import ROOT
from tests.support.nginx import NGINX, write_configuration

pytestmark = pytest.mark.skipif(not NGINX.exists(), reason="nginx is not here (tools/fetch.sh)")

COMPOSE, LOCATIONS = ROOT / "deploy/nginx/compose.conf.template", "/etc/nginx/countersign/*.conf"
SERVICES = ("approval", "ingest", "evaluator")
HEALTH = ("/healthz", "/readyz")
SHARED = ("/assets/",)  # both have them: the same files


def named(service: str) -> ThreadingHTTPServer:
    """A server that answers every request with its name."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(service)))
            self.send_header("Asked-Host", self.headers["Host"])
            self.end_headers()
            self.wfile.write(service.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory, port, asked = tmp_path_factory.mktemp("nginx"), free_port(), free_port()
    servers = {service: named(service) for service in SERVICES}
    here = {"listen 8080": f"listen 127.0.0.1:{port}", "127.0.0.1:8079": f"127.0.0.1:{asked}"}
    here |= {f"http://{name}:8080": f"http://127.0.0.1:{server.server_port}" for name, server in servers.items()}
    here |= {"${NGINX_LOCAL_RESOLVERS}": "127.0.0.1", LOCATIONS: str(COMPOSE.parent / "locations.conf")}
    configuration = COMPOSE.read_text()
    for written, replaced in here.items():
        assert written in configuration
        configuration = configuration.replace(written, replaced)
    file = write_configuration(directory, configuration)
    process = subprocess.Popen([NGINX, "-p", directory, "-c", file])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            _wait(client, process)
            assert httpx.get(f"http://127.0.0.1:{asked}", trust_env=False).status_code == 204
            yield client
    finally:
        process.terminate()
        process.wait()
        for server in servers.values():
            server.shutdown()
            server.server_close()


def _wait(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        assert process.poll() is None, "nginx has ended: its configuration is not valid"
        try:
            client.get("/")
        except httpx.ConnectError:
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)
        else:
            return


def pages(*routers: APIRouter) -> list[str]:
    routes = [route.path for router in routers for route in router.routes if isinstance(route, APIRoute)]
    return [path for path in routes if not path.startswith(SHARED)]


ROUTES = {service: [path for path in openapi(service)["paths"] if path not in HEALTH] for service in SERVICES}
ROUTES["approval"] += pages(*PAGE_ROUTERS, *PROVIDER_ROUTERS, *LAUNCH_ROUTERS)
ROUTES["evaluator"] += pages(*EVALUATOR_PAGES)


@pytest.mark.parametrize("service", sorted(ROUTES))
def test_every_route_and_page_is_led_to_its_service(proxy: httpx.Client, service: str) -> None:
    assert len(ROUTES[service]) > 5
    paths = {path: re.sub(r"\{[^}]*\}", "x1", path) for path in ROUTES[service]}
    found = {path: proxy.get(asked).text for path, asked in paths.items()}
    assert {path: by for path, by in found.items() if by != service} == {}


def test_services_get_the_host_and_the_path_as_they_were_sent(proxy: httpx.Client) -> None:
    """Forms are accepted from the address that people type, port included."""
    answer = proxy.get("/knowledge", headers={"Host": "countersign.example:8443"})
    assert (answer.text, answer.headers["Asked-Host"]) == ("evaluator", "countersign.example:8443")
