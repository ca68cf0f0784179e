"""Every stay there is: written by hand, from the seed, from another generator."""

from collections.abc import Callable, Iterator
from importlib import import_module

from tests.stays import generated
from tests.stays.model import Stay
from tests.support.ehr import SHARED_ENCOUNTERS

# Modules with a tuple STAYS of functions; a stay names its own source.
MODULES: tuple[str, ...] = (
    "us_core",
    "ips",
    "isik",
    "zib",
    "au_core",
    "nasty",
    "no_stays",
    "germany",
    "netherlands",
    "australia",
    "awkward",
    "review",
    "notes",
)


def written() -> Iterator[Stay]:
    """The stays of all modules, in order."""
    for name in MODULES:
        for function in import_module(f"tests.stays.{name}").STAYS:
            yield function()


def all_stays(tell: Callable[[str], None]) -> Iterator[Stay]:
    """The whole corpus; what is not here is told in words."""
    yield from written()
    yield from import_module("tests.stays.carebundle_stays").stays()
    yield from generated.seed()
    yield from generated.seed_ended_on_a_day()
    if not SHARED_ENCOUNTERS.is_dir():
        tell("the shared encounters are not here (../shared/data/encounters): their stays are left out")
    yield from generated.shared()
