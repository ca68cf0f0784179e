"""Every stay there is, by the source that wrote it."""

from collections.abc import Callable, Iterable
from importlib import import_module

from tests.stays.model import Stay

# Modules with a tuple STAYS of functions; a stay names its own source.
MODULES: tuple[str, ...] = ()


def written() -> list[Stay]:
    """The stays of all modules, in order."""
    functions: Iterable[Callable[[], Stay]] = (
        function for name in MODULES for function in import_module(f"tests.stays.{name}").STAYS
    )
    return [function() for function in functions]
