"""A stay with its fact sheet, and how a document is held against it.

The text is cut into items: a bullet with its wrapped lines and deeper bullets, or a plain line. Each item stands under
a heading `PART / Group`: a part is a line in capitals, a group a line that ends with a colon. A fact lists alternatives
(`any_of`); one that is found is enough. An alternative is a regular expression, without regard to case, for one item;
`under` and `not_under` restrict the headings by regular expressions, `whole` lets it match all those items together.

A fact that must be said is `right` or `missing`; one that must never be said is `right` or `wrong`. What must never be
said may stand under a heading that says the opposite ("Medications not to take", "Family history").
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Resource = dict[str, Any]
Severity = Literal["critical", "high", "medium"]
Expect = Literal["draft", "no-draft"]
Result = Literal["right", "missing", "wrong", "not drafted"]
Kind = Literal[
    "drafted",
    "identity",
    "dates",
    "reason",
    "diagnosis",
    "family history",
    "allergy",
    "laboratory",
    "microbiology",
    "report",
    "pending",
    "procedure",
    "device",
    "immunization",
    "medicine",
    "dose",
    "medicine status",
    "disposition",
    "outcome",
    "vital sign",
    "function",
    "code status",
    "follow-up",
    "care plan",
    "care team",
    "course",
]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium")

# A heading under which an entry says the opposite: what must never be said may stand there.
NEGATING = re.compile(
    r"on hold|\bheld\b|paus|stopp|not to (be )?|do not|avoid|cancel|refuted|disproved|ruled out|excluded"
    r"|inactive|resolved|not (done|performed|given|taken|used)|declin|refus|in error|left out|family history"
    r"|supersed|contradict",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One alternative: `re` is searched in one item, or with `whole` in all chosen items joined."""

    re: str
    under: tuple[str, ...] = ()
    not_under: tuple[str, ...] = ()
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """What the document must say, or with `never` must not say; `anywhere` accepts the list of what was left out."""

    what: str
    kind: Kind
    severity: Severity
    any_of: tuple[Pattern, ...]
    never: bool = False
    anywhere: bool = False


@dataclass(frozen=True, slots=True)
class Serve:
    """Habits of the server: `ids` as in `server.py`, entries a page, whether next links name another path."""

    ids: Literal["any", "typed"] = "any"
    page: int = 100
    mirror: bool = False


@dataclass(frozen=True, slots=True)
class Stay:
    """A record and its sheet. `encounter` is the id that the discharge names; `resources` are what the server holds."""

    name: str
    source: str
    about: str
    encounter: str
    resources: tuple[Resource, ...]
    facts: tuple[Fact, ...] = ()
    expect: Expect = "draft"
    serve: Serve = field(default_factory=Serve)
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Row:
    """A fact of a stay with its result; `seen` is the item that decided it."""

    stay: Stay
    fact: Fact
    result: Result
    seen: str | None = None

    def __str__(self) -> str:
        said = "must never be said" if self.fact.never else "must be said"
        seen = f": {self.seen}" if self.seen else ""
        return f"{self.stay.name}: {self.result} ({self.fact.severity}, {said}): {self.fact.what}{seen}"


@dataclass(frozen=True, slots=True)
class Document:
    """What came of a stay: the text and what stands beside it, or why there is none."""

    text: str = ""
    beside: tuple[str, ...] = ()
    refused: str | None = None


Items = list[tuple[str, str]]


def items(text: str) -> Items:
    """The document as (heading, item); the first line is under the heading `title`."""
    found: list[list[str]] = []
    part, group, indent = "", "", None
    lines = [line for line in text.splitlines()]
    for line in lines:
        bare = squeeze(line)
        depth = len(line) - len(line.lstrip())
        bullet = re.match(r"[-*•–] ", bare)
        if not bare:
            indent = None
        elif not bullet and _is_part(bare):
            part, group, indent = bare, "", None
        elif not bullet and bare.endswith(":") and len(bare) < 160:
            group, indent = bare.rstrip(":"), None
        elif bullet and (indent is None or depth <= indent):
            found.append([f"{part} / {group}", bare[2:]])
            indent = depth
        elif indent is not None and depth > indent:
            found[-1][1] += f"; {bare[2:]}" if bullet else f" {bare}"
        else:
            found.append([f"{part} / {group}", bare])
            indent = None
    title = next((squeeze(line) for line in lines if line.strip()), "")
    return [("title", title), *((heading, squeeze(item)) for heading, item in found)]


def squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _is_part(bare: str) -> bool:
    return (
        bare == bare.upper()
        and re.search(r"[A-Z]", bare) is not None
        and not re.search(r"\d|:", bare)
        and len(bare) < 80
    )


def hit(pattern: Pattern, parsed: Items, never: bool) -> str | None:
    """The item in which an alternative is found."""
    wanted = re.compile(pattern.re, re.IGNORECASE)
    chosen = [
        (heading, item)
        for heading, item in parsed
        if (not pattern.under or _any(pattern.under, heading)) and not _any(pattern.not_under, heading)
    ]
    for heading, item in chosen:
        opposite = never and NEGATING.search(heading.rpartition(" / ")[2])
        if not opposite and wanted.search(item):
            return f"[{heading}] {item}"
    if pattern.whole and (match := wanted.search(" ".join(item for _, item in chosen))):
        return match[0] or "the items together"
    return None


def _any(patterns: Iterable[str], heading: str) -> bool:
    return any(re.search(pattern, heading, re.IGNORECASE) for pattern in patterns)


def evaluate(stay: Stay, document: Document) -> list[Row]:
    """Every fact of the sheet, and that a draft was made at all, or was not."""
    if stay.expect == "no-draft":
        fact = Fact("no document is drafted", "drafted", "critical", (), never=True)
        title = document.text.splitlines()[0] if document.text else None
        return [Row(stay, fact, "wrong" if document.text else "right", title)]
    fact = Fact("a document is drafted", "drafted", "critical", ())
    drafted = Row(stay, fact, "right" if document.text else "missing", document.refused)
    return [drafted, *_sheet(stay, document)]


def _sheet(stay: Stay, document: Document) -> Iterator[Row]:
    parsed = items(document.text)
    beside = [("left out", squeeze(item)) for item in document.beside]
    for fact in stay.facts:
        if not document.text:
            yield Row(stay, fact, "not drafted" if fact.never else "missing")
            continue
        pool = parsed + beside if fact.anywhere else parsed
        seen = next((found for one in fact.any_of if (found := hit(one, pool, fact.never))), None)
        if fact.never:
            yield Row(stay, fact, "wrong" if seen else "right", seen)
        else:
            yield Row(stay, fact, "right" if seen else "missing", seen)
