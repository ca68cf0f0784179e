"""`python -m cli.container.healthcheck URL`: ends with 0 if it answers. The images have no curl.

`grpc://host:port` asks by gRPC's health protocol, as Kubernetes does: Triton has no HTTP.
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
    import grpc  # only here: it takes a while, and most containers are asked by HTTP

    with grpc.insecure_channel(address) as channel:
        try:
            return bool(channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=TIMEOUT) == SERVING)
        except grpc.RpcError:
            return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
