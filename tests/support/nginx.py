"""nginx as a hospital puts it before our pages: it ends TLS and sends what comes on, over HTTP, to this machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.server import certified
from tests.support.stack import until

NGINX = Path(__file__).parents[2] / ".tools/usr/sbin/nginx"
HTTP = """
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
{servers}
}}
"""
TLS = """
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
"""


def write_configuration(directory: Path, servers: str) -> Path:
    """Write the configuration of servers that keep their files in `directory`; return the file."""
    file = directory / "nginx.conf"
    file.write_text(HTTP.format(directory=directory, servers=servers))
    return file


def configure(directory: Path, port: int, upstream: int) -> Path:
    """Writes what nginx needs; returns its configuration file."""
    (directory / "tls").mkdir(parents=True)
    tls = certified(directory / "tls")
    server = TLS.format(port=port, upstream=upstream, certificate=tls.certificate, key=tls.key)
    return write_configuration(directory, server)


@asynccontextmanager
async def nginx(directory: Path, port: int, upstream: int) -> AsyncIterator[None]:
    """Listens for TLS on `port` of loopback and sends what comes to the port `upstream`."""
    file = configure(directory, port, upstream)
    process = await asyncio.create_subprocess_exec(NGINX, "-p", directory, "-c", file)

    async def listens() -> bool:
        assert process.returncode is None, "nginx has ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens, "nginx")
        yield
    finally:
        process.terminate()
        await process.wait()
