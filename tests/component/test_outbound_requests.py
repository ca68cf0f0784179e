"""What the sites of others can make ingest do: take a document that is small enough from where was declared."""

import gzip
import http.server
import ssl
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx
import psutil
import pytest

from cli.stack.certificates import CA, CERTIFICATE, KEY, ensure_certificates
from services.ingest.connectors.outbound import AllowedAddresses, allowed_addresses
from services.ingest.connectors.scanned_document import ScannedDocument
from services.ingest.connectors.web import WebConnector
from services.ingest.documents.reader import DocumentReader
from shared.knowledge.knowledge_file import GuidelineSource
from shared.outbound import CheckedTransport, NotAllowedError

pytestmark = pytest.mark.slow

MB = 2**20
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Site(http.server.BaseHTTPRequestHandler):
    """Answers a path by a function."""

    answers: ClassVar[dict[str, Answer]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.answers[self.path](self)

    def log_message(self, *_: Any) -> None:
        pass


def answer(body: bytes, type: str | None = "text/html; charset=utf-8", **headers: str) -> Answer:
    def send(site: http.server.BaseHTTPRequestHandler) -> None:
        site.send_response(200)
        if type is not None:
            site.send_header("Content-Type", type)
        for name, value in headers.items():
            site.send_header(name.replace("_", "-"), value)
        site.end_headers()
        with suppress(ConnectionError):  # whoever asked has seen enough
            site.wfile.write(body)

    return send


def redirect(to: str, status: int = 302) -> Answer:
    def send(site: http.server.BaseHTTPRequestHandler) -> None:
        site.send_response(status)
        site.send_header("Location", to)
        site.end_headers()

    return send


def serve(context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def site() -> Iterator[int]:
    Site.answers, Site.asked = {}, []
    yield from serve()


@pytest.fixture
def another() -> Iterator[int]:
    yield from serve()


@pytest.fixture
async def reader() -> AsyncIterator[DocumentReader]:
    found = DocumentReader()
    yield found
    await found.close()


def source(*urls: str, **more: Any) -> GuidelineSource:
    return GuidelineSource.model_validate({"name": "x", "kind": "guideline", "urls": urls, **more})


async def see(
    reader: DocumentReader, declared: GuidelineSource, transport: httpx.AsyncBaseTransport | None = None
) -> ScannedDocument:
    (seen,) = [item async for item in WebConnector(declared, reader, transport).scan({})]
    return seen


def zipped(size: int) -> bytes:
    """`size` zeros as gzip, without ever having them all."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(bytes(MB)) for _ in range(size // MB)]
    return b"".join([*parts, packer.flush()])


@pytest.mark.usefixtures("prompt_gc")
async def test_what_is_larger_than_a_document_is_refused_while_it_comes(site: int, reader: DocumentReader) -> None:
    def endless(site: http.server.BaseHTTPRequestHandler) -> None:
        answer(b"")(site)
        with suppress(ConnectionError):
            while True:
                site.wfile.write(bytes(MB))

    bomb = zipped(300 * MB)
    assert len(bomb) < 4 * MB
    Site.answers = {
        "/gzip": answer(bomb, Content_Encoding="gzip"),
        "/members": answer(zipped(30 * MB) * 3, Content_Encoding="x-gzip"),
        "/declared": answer(b"x", Content_Length=str(400 * MB)),
        "/endless": endless,
    }
    before = psutil.Process().memory_info().rss
    for path in Site.answers:
        seen = await see(reader, source(f"http://127.0.0.1:{site}{path}"))
        assert seen.problem == "it is larger than 50 MB", path
    assert psutil.Process().memory_info().rss - before < 150 * MB


async def test_what_is_packed_is_unpacked_once_and_as_it_says(site: int, reader: DocumentReader) -> None:
    page = b"<h1>Gout</h1><p>Rest.</p>"
    Site.answers = {
        "/gzip": answer(gzip.compress(page), Content_Encoding="gzip"),
        "/members": answer(gzip.compress(page[:10]) + gzip.compress(page[10:]), Content_Encoding="gzip"),
        "/twice": answer(gzip.compress(gzip.compress(page)), Content_Encoding="gzip, gzip"),
        "/zstd": answer(page, Content_Encoding="zstd"),
        "/not": answer(page, Content_Encoding="gzip"),
        "/cut": answer(gzip.compress(page)[:-12], Content_Encoding="gzip"),
        "/plain": answer(page),
    }
    found = {path: await see(reader, source(f"http://127.0.0.1:{site}{path}")) for path in Site.answers}
    for path in ("/gzip", "/members", "/plain"):
        text = found[path].text
        assert text is not None, path
        assert text.title == "Gout"
    assert "packed it in a way" in (found["/twice"].problem or "")
    assert "packed it in a way" in (found["/zstd"].problem or "")
    assert found["/not"].problem == found["/cut"].problem == "what its server sends is damaged"


async def test_a_redirect_goes_only_where_the_source_says(site: int, another: int, reader: DocumentReader) -> None:
    own, other = f"http://127.0.0.1:{site}", f"http://127.0.0.1:{another}"
    Site.answers = {
        "/within": redirect("/page", 301),
        "/page": answer(b"<p>words</p>"),
        "/secret": answer(b"nv_inference_count 5", "text/plain"),
        "/other": redirect(f"{other}/secret"),
        "/protocol": redirect(f"//127.0.0.1:{another}/secret"),
        "/metadata": redirect("http://169.254.169.254/latest/meta-data/"),
        "/name": redirect("http://localhost:1/secret"),
        "/number": redirect(f"http://2130706433:{another}/secret"),
        "/mapped": redirect(f"http://[::ffff:127.0.0.1]:{another}/secret"),
        "/user": redirect(f"http://127.0.0.1:{site}@127.0.0.1:{another}/secret"),
        "/file": redirect("file:///etc/passwd"),
        "/loop": redirect("/loop"),
    }
    assert (await see(reader, source(f"{own}/within"))).text is not None
    for path in ("/other", "/protocol", "/metadata", "/name", "/number", "/mapped", "/user", "/file"):
        seen = await see(reader, source(f"{own}{path}"))
        assert (seen.problem or "").startswith("it redirects to"), (path, seen)
        assert seen.text is None
    assert (await see(reader, source(f"{own}/loop"))).problem == "it redirects more than 5 times"
    assert "/secret" not in Site.asked
    declared = source(f"{own}/other", redirect_hosts=[f"127.0.0.1:{another}"])
    assert (await see(reader, declared)).text is not None


V4 = "127.0.0.1 10.0.0.7 172.16.3.4 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1"
V6 = "::1 fe80::1%2 fd00::5 ::ffff:10.0.0.7 64:ff9b::a00:7 2002:a00:7::1 ::"


@pytest.mark.parametrize("address", [*V4.split(), *V6.split()])
async def test_a_name_that_means_an_address_of_ours_is_not_connected_to(reader: DocumentReader, address: str) -> None:
    tried: list[httpx.Request] = []

    def connect(request: httpx.Request) -> httpx.Response:
        tried.append(request)
        return httpx.Response(200, text="ours")

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", address]

    declared = source("https://guidelines.example/x")
    seen = await see(
        reader, declared, CheckedTransport(allowed_addresses(declared), httpx.MockTransport(connect), resolve)
    )
    assert "means an address of a private network" in (seen.problem or "")
    assert not tried


async def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(reader: DocumentReader) -> None:
    """A name may mean something else a moment later."""
    tried: list[tuple[str, str, str]] = []
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])

    def connect(request: httpx.Request) -> httpx.Response:
        tried.append((request.url.host, request.headers["host"], request.extensions["sni_hostname"]))
        return httpx.Response(200, stream=httpx.ByteStream(b"words"), headers={"Content-Type": "text/plain"})

    async def resolve(host: str, port: int) -> Sequence[str]:
        return next(answers)

    declared = source("https://guidelines.example/x")
    seen = await see(
        reader, declared, CheckedTransport(allowed_addresses(declared), httpx.MockTransport(connect), resolve)
    )
    assert seen.text is not None
    assert tried == [("93.184.216.34", "guidelines.example", "guidelines.example")]


def test_what_may_be_in_our_own_network_is_declared() -> None:
    allowed = allowed_addresses(source("https://intranet.hospital.test/x", internal_hosts=["intranet.hospital.test"]))
    for address in ("10.0.0.7", "192.168.3.4", "fd00::5", "100.64.0.1", "93.184.216.34"):
        allowed.check_address("intranet.hospital.test", address)
    for address in ("127.0.0.1", "169.254.169.254", "::1", "::"):
        with pytest.raises(NotAllowedError):
            allowed.check_address("intranet.hospital.test", address)
    with pytest.raises(NotAllowedError):
        allowed.check_address("other.hospital.test", "10.0.0.7")
    by_itself = allowed_addresses(source("http://10.0.0.7:8000/x"))
    by_itself.check_address("10.0.0.7", "10.0.0.7")
    with pytest.raises(NotAllowedError):
        by_itself.check(httpx.URL("http://10.0.0.8:8000/x"))


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ("http://a.example/x", "https://a.example/x", False),
        ("https://a.example/x", "http://a.example/x", True),
        ("https://a.example/x", "https://a.example:8443/x", True),
        ("https://a.example/x", "https://www.a.example/x", True),
        ("https://a.example/x", "https://b.example/x", False),
        ("https://a.example/x", "https://B.example/x", False),
        ("https://a.example/x", "https://c.example/x", True),
        ("https://a.example/x", "https://c.example:8443/x", False),
    ],
)
def test_where_a_redirect_may_go(before: str, after: str, refused: bool) -> None:
    allowed: AllowedAddresses = allowed_addresses(source(before, redirect_hosts=["b.example", "c.example:8443"]))
    try:
        allowed.check(httpx.URL(after), before=httpx.URL(before))
    except NotAllowedError:
        assert refused
    else:
        assert not refused


@pytest.mark.parametrize(("name", "trusted"), [("localhost", True), ("other.test", False)])
async def test_tls_still_verifies_the_name(tmp_path: Path, reader: DocumentReader, name: str, trusted: bool) -> None:
    ensure_certificates(tmp_path, [name], datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)
    Site.answers = {"/x": answer(b"<p>words</p>")}
    inner = httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=tmp_path / CA))
    for port in serve(context):
        declared = source(f"https://localhost:{port}/x", internal_hosts=[f"localhost:{port}"])
        seen = await see(reader, declared, CheckedTransport(allowed_addresses(declared), inner))
        assert (seen.text is not None) is trusted, seen.problem
        assert trusted or seen.problem == "it cannot be reached (ConnectError)"


@pytest.mark.parametrize(
    ("type", "path", "taken"),
    [
        ("text/html", "/x", True),
        ("text/plain; version=0.0.4", "/x.txt", True),
        ("application/octet-stream", "/x.html", True),
        (None, "/x.html", True),
        (None, "/x", False),
        ("application/json", "/x.html", False),
        ("image/png", "/x.html", False),
        ("text/csv", "/x.txt", False),
        ("application/zip", "/x.docx", False),
        ("text/javascript", "/x.html", False),
    ],
)
async def test_only_media_types_of_documents_are_taken(
    site: int, reader: DocumentReader, type: str | None, path: str, taken: bool
) -> None:
    Site.answers = {path: answer(b"<h1>Gout</h1><p>Rest.</p>", type)}
    seen = await see(reader, source(f"http://127.0.0.1:{site}{path}"))
    assert (seen.text is not None) is taken
    assert taken or seen.problem


SIGN_IN = b"<title>Hospital</title><h1>Welcome</h1><p>Your user name</p><form><input type='password'></form>"


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (SIGN_IN, "it is a sign-in page"),
        (b"<title>Sign in to your account</title><p>Loading</p>", "it is a sign-in page"),
        (b"<title>Anmelden - Klinik</title><p>Bitte</p>", "it is a sign-in page"),
        (b"<title>Site</title><h1>Page not found</h1><p>Sorry.</p>", "it says that the page is not there"),
        (b"<h1>404</h1><p>Try our search.</p>", "it says that the page is not there"),
        (b"<title>We value your privacy: cookies</title><p>Accept</p>", "it is a page that asks for consent"),
        (b"<title>Just a moment...</title><p>Checking your browser</p>", "it is a page that keeps programs out"),
        (b"<h1>Informed consent before surgery</h1><p>Ask.</p>", None),
        (b"<h1>Anmeldung in der Ambulanz</h1><p>Bitte.</p>", None),
        (SIGN_IN + b"<p>" + b"Gout is painful. " * 200 + b"</p>", None),
        (b"<h1>Patients not found to respond</h1><p>" + b"Escalate. " * 300 + b"</p>", None),
    ],
)
async def test_a_page_that_stands_in_for_the_document_is_a_problem(
    site: int, reader: DocumentReader, page: bytes, problem: str | None
) -> None:
    Site.answers = {"/x": answer(page)}
    assert (await see(reader, source(f"http://127.0.0.1:{site}/x"))).problem == problem
