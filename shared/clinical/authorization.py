"""What a FHIR client sends as its Authorization header, and how a value that was refused is replaced."""

import asyncio
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from shared.contracts.failures import TransientError


class Authorization(Protocol):
    async def value(self) -> str | None:
        """The header's value; None where the server wants none. Raises TransientError when it is not to be had."""

    async def renew(self, refused: str) -> None:
        """The server refused this value (HTTP 401): get another one, if nobody has done so meanwhile."""


class FixedToken:
    """A bearer token that is the same until the service is started again."""

    def __init__(self, token: SecretStr) -> None:
        self._value = f"Bearer {token.get_secret_value()}"

    async def value(self) -> str | None:
        return self._value

    async def renew(self, refused: str) -> None:
        """There is no other one: whoever asks again later may find it accepted again."""


class TokenFile:
    """A bearer token in a file that somebody else replaces; read at the first use and whenever it was refused."""

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
            raise TransientError("the file of the EHR's token holds no token")
        return f"Bearer {token}"
