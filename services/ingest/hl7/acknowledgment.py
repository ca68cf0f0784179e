"""Write the acknowledgment of a message, or none where the sender needs none. Pure.

Original mode answers AA, AE or AR; enhanced mode CA, CE or CR, as MSH-15 asks (HL7 v2.5.1 chapter 2.9.2, 2.9.3).
"""

import re
from datetime import datetime
from typing import Literal

from services.ingest.hl7.adt import Problem
from shared.hl7.message import Message

Code = Literal["AA", "AE", "AR", "CA", "CE", "CR"]
CONDITIONS = ("AL", "NE", "ER", "SU")  # HL7 table 0155: always, never, errors only, success only


def answer_code(message: Message, problem: Problem | None) -> Code | None:
    """Return MSA-1 of the answer; None where the sender asks for none."""
    accept, application = (_condition(message.value("MSH", number)) for number in (15, 16))
    if accept in ("AL", "ER", "SU"):
        return _code("C", problem) if _asked(accept, problem) else None
    # Original mode, or MSH-15 refuses commit answers. Only NE in both fields means that nobody waits: senders in the
    # field set MSH-16 to NE alone and wait for AA.
    if not application or (not accept and application == "NE"):
        application = "AL"
    return _code("A", problem) if _asked(application, problem) else None


def acknowledgment(message: Message, code: Code, problem: Problem | None, *, id: str, at: datetime) -> bytes:
    """Return the answer, in the sender's delimiters, as a frame's content. `id` is our MSH-10, `at` in its zone."""
    marks = message.delimiters
    raw = [message.raw("MSH", number) for number in range(19)]
    header = [
        f"MSH{marks.field}{raw[2]}",
        *(raw[5], raw[6], raw[3], raw[4]),
        at.strftime("%Y%m%d%H%M%S"),
        "",
        _type(message),
        id,
        raw[11],
        raw[12],
    ]
    if raw[18]:
        header += ["", "", "", "", "", raw[18]]
    recent = version(message) >= (2, 5)
    lines = [marks.field.join(header), marks.field.join(["MSA", code, raw[10]])]
    if problem is not None and recent:
        location = problem.location.replace("^", marks.component or "-")
        lines.append(marks.field.join(["ERR", "", location, problem.code, "E", "", "", "", problem.text]))
    elif problem is not None:  # before 2.5 ERR-1 is location and code in one, and MSA-3 the text
        lines[-1] += marks.field + problem.text
        location = f"{problem.location or '^^'}^{problem.code}".replace("^", marks.component or "-")
        lines.append(marks.field.join(["ERR", location]))
    return "".join(line + "\r" for line in lines).encode("latin-1", errors="replace")


def version(message: Message) -> tuple[int, ...]:
    """Return MSH-12 as numbers; () where it is missing."""
    return tuple(int(part) for part in re.findall(r"[0-9]{1,4}", message.value("MSH", 12)))


def _type(message: Message) -> str:
    """Return MSH-9 of the answer: `ACK^A03^ACK`, or `ACK` before 2.4 and where there is no trigger event."""
    event, mark = message.component(message.raw("MSH", 9), 2), message.delimiters.component
    return mark.join(("ACK", event, "ACK")) if event and mark and version(message) >= (2, 4) else "ACK"


def _condition(value: str) -> str:
    return value.upper() if value.upper() in CONDITIONS else ""


def _asked(condition: str, problem: Problem | None) -> bool:
    return condition == "AL" or condition == ("ER" if problem is not None else "SU")


def _code(mode: Literal["A", "C"], problem: Problem | None) -> Code:
    codes: dict[str, tuple[Code, Code, Code]] = {"A": ("AA", "AE", "AR"), "C": ("CA", "CE", "CR")}
    accepted, error, reject = codes[mode]
    if problem is None:
        return accepted
    return error if problem.kind == "error" else reject
