"""Modules that stand in one place or another, depending on which check is built in."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from shared.contracts.context import EncounterContext


def new_check() -> Any:
    """The check of typed claims. Raises ImportError where it is not there."""
    return import_module("shared.grounding")


def old_check() -> Any:
    """The check of the rendered record. Raises ImportError where it is no longer there."""
    return import_module("services.drafter.grounding")


def has_new_check() -> bool:
    return find_spec("shared.grounding") is not None


def reconciled(context: EncounterContext) -> tuple[Any, ...]:
    """What became of the medicines at home, as the drafter compares them."""
    place = (
        "services.drafter.reconciliation"
        if find_spec("services.drafter.reconciliation")
        else "shared.grounding.reconciliation"
    )
    rows: tuple[Any, ...] = import_module(place).reconcile(context)
    return rows
