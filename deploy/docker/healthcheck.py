"""`python -m deploy.docker.healthcheck URL`: ends with 0 if it answers. The images have no curl."""

import sys
from http.client import HTTPException
from urllib.request import urlopen


def main(url: str) -> int:
    try:
        with urlopen(url, timeout=2):  # noqa: S310 - our own address, from the image or compose.yaml
            return 0
    except (OSError, HTTPException):  # an answer of 4xx or 5xx is an OSError, too
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
