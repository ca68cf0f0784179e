"""A generator whose server gets pseudonyms, and whose answers have the original words."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from services.drafter.pseudonyms.errors import NotRestorableError
from services.drafter.pseudonyms.pseudonyms import Pseudonyms
from shared.inference.generation import Generation, Generator, Sampling

HELD_BACK = 160  # characters of a stream: more than any surrogate with what decides about it


class StreamRestorer:
    """Restores an answer that comes in parts: a part may end amid a surrogate."""

    def __init__(self, pseudonyms: Pseudonyms, on_text: Callable[[str], None]) -> None:
        self._pseudonyms = pseudonyms
        self._on_text = on_text
        self._text = ""
        self._done = 0  # characters of `_text` that have been passed on

    def feed(self, part: str) -> None:
        """Take a part, and pass on what no later part can change."""
        self._text += part
        if len(self._text) - self._done > 2 * HELD_BACK:
            with suppress(NotRestorableError):  # what cannot be restored may be the beginning of what can: `2026-0`
                self._pass_on(len(self._text) - HELD_BACK)

    def end(self) -> None:
        """Pass on the rest. Raises NotRestorableError."""
        self._pass_on(len(self._text))

    def _pass_on(self, until: int) -> None:
        spans = [item for item in self._pseudonyms.restorations(self._text) if item.end > self._done]
        while until < len(self._text) and until > self._done and not self._text[until - 1].isspace():
            until -= 1
        until = min([until, *(item.start for item in spans if item.start < until < item.end)])
        parts = []
        for span in (item for item in spans if item.end <= until):
            parts += [self._text[self._done : span.start], span.text]
            self._done = span.end
        if until > self._done:
            parts.append(self._text[self._done : until])
            self._done = until
        if text := "".join(parts):
            self._on_text(text)


class PseudonymousGenerator:
    """Sends pseudonyms to `generator`, for one prompt. Its text is restored as a whole, or not used at all."""

    def __init__(self, generator: Generator, pseudonyms: Pseudonyms) -> None:
        self._generator = generator
        self._pseudonyms = pseudonyms

    async def generate(
        self, prompt: str, sampling: Sampling, *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        """See `Generator`. Raises NotReplaceableError before anything is sent, NotRestorableError afterwards.

        What `on_text` gets is restored; the check of the whole answer follows it.
        """
        sent = await asyncio.to_thread(self._pseudonyms.replace, prompt)
        stream = StreamRestorer(self._pseudonyms, on_text) if on_text is not None else None
        answer = await self._generator.generate(
            sent, sampling, deadline=deadline, on_text=stream.feed if stream is not None else None
        )
        try:
            text = await asyncio.to_thread(self._pseudonyms.restore, answer.text)
            if stream is not None:
                stream.end()
        except NotRestorableError as error:
            raise NotRestorableError(error.reason, answer.usage) from None
        return replace(answer, text=text)

    async def ready(self) -> bool:
        return await self._generator.ready()

    async def close(self) -> None:
        await self._generator.close()
