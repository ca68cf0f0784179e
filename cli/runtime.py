"""How a command runs: on uvloop, with errors printed as one line."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from cli.errors import CommandError
from shared.contracts.errors import CountersignError

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on uvloop."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@contextmanager
def error_boundary(program: str) -> Iterator[None]:
    """Print an expected error as one line after the name of the `program`, and exit with its code."""
    code = CommandError.exit_code
    try:
        yield
        return
    except CommandError as error:
        message, code = str(error), error.exit_code
    except CountersignError as failure:
        message = f"{failure.reason}."
    except OSError as error:
        if error.filename is None:
            raise
        message = f"{error.filename!r}: {error.strerror}."  # a path of an option
    except UnicodeEncodeError as error:
        if not any("\ud800" <= character <= "\udfff" for character in error.object):
            raise
        message = "An option or argument is not valid UTF-8."  # its bytes arrive as surrogates
    except ValueError as error:
        from pydantic import ValidationError
        from pydantic_settings import SettingsError

        from shared.runtime.start import describe_settings_error

        if not isinstance(error, ValidationError | SettingsError):
            raise
        message = f"{describe_settings_error(error)}."
    print(f"{program}: {message}", file=sys.stderr)
    sys.exit(code)
