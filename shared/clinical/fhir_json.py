"""Read and write FHIR's JSON without losing digits: `5.0` and `0.400` state a precision. Pure.

https://hl7.org/fhir/R4/json.html#primitive
"""

import json
from decimal import Decimal
from typing import Any


def decode(content: bytes) -> Any:
    """Parse a JSON text; numbers with a fraction or an exponent become Decimal.

    Raises ValueError for invalid JSON, including `NaN` and `Infinity`.
    """
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def encode(value: Any) -> bytes:
    """Return the JSON text of dicts, lists and scalars; a Decimal keeps its digits."""
    return _text(value).encode()


def _text(value: Any) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{_text(str(name))}:{_text(item)}" for name, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_text, value)) + "]"
        case Decimal() if value.is_finite():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")
