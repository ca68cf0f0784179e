"""`python -m cli.container.healthcheck URL`: exit with 0 if the URL answers. The images have no curl.

`grpc://host:port` uses the gRPC health protocol, as Kubernetes does: Triton has no HTTP.
"""

import sys
from http.client import HTTPException
from urllib.request import urlopen

TIMEOUT = 2.0
SERVING = b"\x08\x01"  # HealthCheckResponse with status SERVING, encoded


def main(url: str) -> int:
    scheme, _, address = url.partition("://")
    return 0 if (_serving(address) if scheme == "grpc" else _answers(url)) else 1


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=TIMEOUT):  # noqa: S310 - our own address, from the image or compose.yaml
            return True
    except (OSError, HTTPException):  # an answer of 4xx or 5xx is an OSError, too
        return False


def _serving(address: str) -> bool:
    import grpc  # imported here: it is slow, and most containers are checked by HTTP

    with grpc.insecure_channel(address) as channel:
        try:
            return bool(channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=TIMEOUT) == SERVING)
        except grpc.RpcError:
            return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
