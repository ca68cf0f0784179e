"""How a command runs: on uvloop, with errors printed as one line."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from cli.errors import CommandError
from shared.contracts.failures import Failure

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@contextmanager
def error_boundary(program: str) -> Iterator[None]:
    """Print an expected error as one line after the name of the `program`, and exit with code 2."""
    try:
        yield
        return
    except CommandError as error:
        message = str(error)
    except Failure as failure:
        message = f"{failure.reason}."
    except ValueError as error:
        from pydantic import ValidationError
        from pydantic_settings import SettingsError

        from shared.runtime.start import in_words

        if not isinstance(error, ValidationError | SettingsError):
            raise
        message = f"{in_words(error)}."
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(2)
