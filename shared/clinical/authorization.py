"""Sources of the Authorization header that a FHIR client sends."""

import asyncio
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from shared.contracts.errors import TransientError


class Authorization(Protocol):
    """A source of Authorization headers that can replace a rejected value."""

    async def value(self) -> str | None:
        """Return the header's value; None where the server needs none.

        Raises TransientError when no token is available.
        """

    async def renew(self, refused: str) -> None:
        """Replace `refused`, which the server rejected (HTTP 401), unless another caller has already replaced it."""


class StaticToken:
    """A bearer token that stays the same until the service restarts."""

    def __init__(self, token: SecretStr) -> None:
        self._value = f"Bearer {token.get_secret_value()}"

    async def value(self) -> str | None:
        return self._value

    async def renew(self, refused: str) -> None:
        """Do nothing: there is no other token. A later request may be accepted again."""


class TokenFile:
    """A bearer token in a file that another program replaces.

    The file is read at first use and whenever the token was rejected.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._value: str | None = None

    async def value(self) -> str | None:
        if self._value is None:
            self._value = await self._read()
        return self._value

    async def renew(self, refused: str) -> None:
        if self._value == refused:
            self._value = await self._read()

    async def _read(self) -> str:
        try:
            token = (await asyncio.to_thread(self._file.read_text)).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TransientError(f"the file of the EHR's token cannot be read ({type(error).__name__})") from None
        if not token or not token.isascii() or len(token.split()) != 1:
            raise TransientError("the file of the EHR's token contains no token")
        return f"Bearer {token}"
