"""Parse units as they are written and convert between them, with their UCUM meaning."""

from dataclasses import dataclass
from functools import cache

_MASS = {"kg": 1e3, "g": 1.0, "gm": 1.0, "mg": 1e-3, "mcg": 1e-6, "µg": 1e-6, "ug": 1e-6, "ng": 1e-9, "pg": 1e-12}
_AMOUNT = {"mol": 1.0, "mmol": 1e-3, "µmol": 1e-6, "umol": 1e-6, "nmol": 1e-9, "pmol": 1e-12}
_VOLUME = {"l": 1.0, "dl": 0.1, "ml": 1e-3, "cc": 1e-3, "µl": 1e-6, "ul": 1e-6, "fl": 1e-15, "mm3": 1e-6, "mm³": 1e-6}
_ACTIVITY = {"u": 1.0, "iu": 1.0, "units": 1.0, "unit": 1.0, "mu": 1e-3, "miu": 1e-3, "µiu": 1e-6, "uiu": 1e-6}
_TIME = {
    "s": 1.0, "sec": 1.0, "seconds": 1.0, "second": 1.0, "min": 60.0, "mins": 60.0, "minutes": 60.0, "minute": 60.0,
    "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0, "day": 86400.0, "days": 86400.0,
    "d": 86400.0, "week": 604800.0, "weeks": 604800.0, "wk": 604800.0, "month": 2629800.0, "months": 2629800.0,
    "year": 31557600.0, "years": 31557600.0, "nights": 86400.0, "night": 86400.0,
}  # fmt: skip
_COUNT = {
    "k": 1e3, "thousand": 1e3, "10^3": 1e3, "10*3": 1e3, "x10^3": 1e3, "x10e3": 1e3, "10³": 1e3, "10^6": 1e6,
    "10*6": 1e6, "million": 1e6, "m": 1e6, "10^9": 1e9, "10*9": 1e9, "x10^9": 1e9, "10⁹": 1e9, "x10⁹": 1e9,
    "×10⁹": 1e9, "×10^9": 1e9, "g": 1e9, "gpt": 1e9, "10^12": 1e12, "10*12": 1e12, "10¹²": 1e12, "cells": 1.0,
    "": 1.0,
}  # fmt: skip
# Spellings of units that are no fraction → (dimension, factor).
_PLAIN: dict[str, tuple[str, float]] = {
    **{unit: ("mass", factor) for unit, factor in _MASS.items()},
    **{unit: ("amount", factor) for unit, factor in _AMOUNT.items()},
    **{unit: ("volume", factor) for unit, factor in _VOLUME.items()},
    **{unit: ("time", factor) for unit, factor in _TIME.items()},
    "units": ("activity", 1.0),
    "unit": ("activity", 1.0),
    "iu": ("activity", 1.0),
    "u": ("activity", 1.0),
    "milligram": ("mass", 1e-3),
    "milligrams": ("mass", 1e-3),
    "gram": ("mass", 1.0),
    "grams": ("mass", 1.0),
    "microgram": ("mass", 1e-6),
    "micrograms": ("mass", 1e-6),
    "kilogram": ("mass", 1e3),
    "kilograms": ("mass", 1e3),
    "milliliter": ("volume", 1e-3),
    "milliliters": ("volume", 1e-3),
    "millilitres": ("volume", 1e-3),
    "liter": ("volume", 1.0),
    "liters": ("volume", 1.0),
    "litres": ("volume", 1.0),
    "lb": ("mass", 453.592),
    "lbs": ("mass", 453.592),
    "pounds": ("mass", 453.592),
    "m": ("length", 1.0),
    "cm": ("length", 0.01),
    "mm": ("length", 0.001),
    "in": ("length", 0.0254),
    "inches": ("length", 0.0254),
    "feet": ("length", 0.3048),
    "centimeters": ("length", 0.01),
    "meq": ("equivalents", 1e-3),
    "%": ("percent", 1.0),
    "percent": ("percent", 1.0),
    "mmhg": ("pressure", 133.322),
    "kpa": ("pressure", 1000.0),
    "cmh2o": ("pressure", 98.0665),
    "°c": ("celsius", 1.0),
    "degrees celsius": ("celsius", 1.0),
    "degrees c": ("celsius", 1.0),
    "celsius": ("celsius", 1.0),
    "°f": ("fahrenheit", 1.0),
    "degrees fahrenheit": ("fahrenheit", 1.0),
    "degrees f": ("fahrenheit", 1.0),
    "fahrenheit": ("fahrenheit", 1.0),
    "bpm": ("rate", 1.0),
    "/min": ("rate", 1.0),
    "beats/min": ("rate", 1.0),
    "breaths/min": ("rate", 1.0),
    "per minute": ("rate", 1.0),
    "beats per minute": ("rate", 1.0),
    "breaths per minute": ("rate", 1.0),
    "beats/minute": ("rate", 1.0),
    "breaths/minute": ("rate", 1.0),
    "beats a minute": ("rate", 1.0),
    "breaths a minute": ("rate", 1.0),
    "tablet": ("tablet", 1.0),
    "tablets": ("tablet", 1.0),
    "tab": ("tablet", 1.0),
    "tabs": ("tablet", 1.0),
    "pill": ("tablet", 1.0),
    "pills": ("tablet", 1.0),
    "capsule": ("tablet", 1.0),
    "capsules": ("tablet", 1.0),
    "puff": ("puff", 1.0),
    "puffs": ("puff", 1.0),
    "inhalation": ("puff", 1.0),
    "inhalations": ("puff", 1.0),
    "drop": ("drop", 1.0),
    "drops": ("drop", 1.0),
    "spray": ("puff", 1.0),
    "sprays": ("puff", 1.0),
    "patch": ("patch", 1.0),
    "patches": ("patch", 1.0),
    "kg/m2": ("bmi", 1.0),
    "kg/m²": ("bmi", 1.0),
    "l/min": ("flow", 1.0),
    "liters per minute": ("flow", 1.0),
    "ml/min": ("clearance", 1.0),
    "ml/min/1.73m2": ("clearance", 1.0),
    "ml/min/1.73 m²": ("clearance", 1.0),
    "ml/min/1.73 m2": ("clearance", 1.0),
    "ml/min/1.73m²": ("clearance", 1.0),
    "mm/h": ("sedimentation", 1.0),
    "mm/hr": ("sedimentation", 1.0),
    "mmol/mol": ("hba1c", 1.0),
    "ms": ("time", 1e-3),
    "times": ("times", 1.0),
    "pack-years": ("pack-years", 1.0),
}
_BELOW = {**{f"/{unit}": ("volume", factor) for unit, factor in _VOLUME.items()}, "/kg": ("body", 1.0)}


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: its `dimension`, such as `mass/volume`, and the factor to the base of the dimension."""

    dimension: str
    factor: float
    text: str


def _fraction_units() -> dict[str, tuple[str, float]]:
    above = {
        **{unit: ("mass", factor) for unit, factor in _MASS.items()},
        **{unit: ("amount", factor) for unit, factor in _AMOUNT.items()},
        **{unit: ("activity", factor) for unit, factor in _ACTIVITY.items()},
        "meq": ("equivalents", 1e-3),
    }
    found = {f"{top}{low}": (f"{a}/{b}", f / g) for top, (a, f) in above.items() for low, (b, g) in _BELOW.items()}
    for low in ("/g", "/mg", "/h", "/hr", "/hour", "/day", "/min", "/kg/day", "/kg/h", "/kg/min", "/mmol"):
        found |= {f"{top}{low}": (f"{a}{low}", f) for top, (a, f) in above.items()}
    found |= {
        f"{volume}{low}": (f"volume{low}", f) for volume, f in _VOLUME.items() for low in ("/h", "/hr", "/hour", "/day")
    }
    found |= {
        f"{top}{gap}/{low}": ("count/volume", factor / below)
        for top, factor in _COUNT.items()
        for gap in ("", " ")
        for low, below in _VOLUME.items()
        if top or not gap
    }
    spelled = {"mg per deciliter": "mg/dl", "mg per dl": "mg/dl", "mmol per liter": "mmol/l", "mmol per l": "mmol/l",
               "g per dl": "g/dl", "grams per deciliter": "g/dl", "per microliter": "/µl", "meq per liter": "meq/l",
               "units per liter": "u/l", "milligrams per deciliter": "mg/dl", "liters a minute": "l/min"}  # fmt: skip
    table = _PLAIN | found
    return found | {words: table[unit] for words, unit in spelled.items() if unit in table}


_TABLE = _fraction_units() | _PLAIN


@cache
def unit_of(text: str) -> Unit | None:
    """Return the unit of a text; None for none and for an unknown one."""
    key = " ".join(text.lower().replace("μ", "µ").split())
    found = _TABLE.get(key)
    return Unit(*found, text=text) if found else None


def convert(value: float, unit: Unit, to: Unit, grams_per_mole: float | None = None, valence: int = 1) -> float | None:
    """Convert `value` to another unit; None where the dimensions differ. `grams_per_mole` is the substance's."""
    if unit.dimension == to.dimension:
        return value * unit.factor / to.factor
    pair = (unit.dimension, to.dimension)
    if pair == ("celsius", "fahrenheit"):
        return value * 9 / 5 + 32
    if pair == ("fahrenheit", "celsius"):
        return (value - 32) * 5 / 9
    if pair == ("percent", "hba1c"):  # IFCC master equation
        return (value - 2.15) * 10.929
    if pair == ("hba1c", "percent"):
        return value / 10.929 + 2.15
    return _by_substance(value * unit.factor, pair, grams_per_mole, valence, to)


def _by_substance(
    base: float, pair: tuple[str, str], grams_per_mole: float | None, valence: int, to: Unit
) -> float | None:
    """Convert between grams, moles and equivalents, alone or per volume. Rates are not converted."""
    tops = [dimension.partition("/") for dimension in pair]
    if tops[0][2] != tops[1][2]:
        return None
    one, other = tops[0][0], tops[1][0]
    moles = {"amount": base, "equivalents": base / valence}
    if one == "mass" and grams_per_mole:
        moles["mass"] = base / grams_per_mole
    if one not in moles:
        return None
    found = {"amount": moles[one], "equivalents": moles[one] * valence}
    if grams_per_mole:
        found["mass"] = moles[one] * grams_per_mole
    return found[other] / to.factor if other in found else None
