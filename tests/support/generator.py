"""A generator for tests. It passes the same suite as Triton: tests/connected/test_generator_port.py."""

from collections.abc import Callable

from shared.contracts.errors import CountersignError
from shared.inference.generation import Generation, Sampling

TEXT = (
    "The patient was admitted and cared for on the ward. Treatment was given as the record states.\n\n"
    "Instructions: Take your medicines as they are listed."
)


class ScriptedGenerator:
    """Writes `text`, or fails with what is in `failures`, first one first.

    `strict`: its configuration allows no policy but that.
    """

    def __init__(self, text: str = TEXT, *, strict: bool = False) -> None:
        self.text = text
        self.strict = strict
        self.failures: list[CountersignError] = []
        self.prompts: list[str] = []

    async def generate(
        self, prompt: str, sampling: Sampling, *, deadline: float, on_text: Callable[[str], None] | None = None
    ) -> Generation:
        self.prompts.append(prompt)
        if self.failures:
            raise self.failures.pop(0)
        if on_text is not None:
            on_text(self.text)
        return Generation(self.text, "scripted test", self.strict)

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        return None
