"""Diagnostic reports: conclusions, pending ones, and contradictions between two reports of one study."""

import base64
import binascii
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.drafter.record.microbiology import CATEGORIES as MICROBIOLOGY
from services.drafter.record.scope import AFTER_DISCHARGE, StayScope, source
from shared.clinical import elements, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime
from shared.contracts.context import ContextEntry

_PENDING = frozenset({"registered", "partial", "preliminary"})
_LABORATORY = frozenset({"LAB", "laboratory", "CH", "HM", "SR"})
_ORDERED = {"active": "ordered", "draft": "ordered in a draft", "on-hold": "ordered, on hold"}
_DIAGNOSTIC = re.compile(
    r"laborat|imaging|radiolog|patholog|cultur|histolog|cytolog|biops|genetic|serolog|\bct\b|\bmri?\b|ultrasound|x-?ray|echo|diagnostic",
    re.IGNORECASE,
)
_DIAGNOSTIC_CODES = frozenset(
    {"108252007", "363679005", "103693007", "LAB", "RAD"}
)  # SNOMED CT: laboratory, imaging, diagnostic
MAX_ATTACHMENT_CHARACTERS = 4_000_000  # of a base64 attachment
MAX_TEXT_CHARACTERS = 1200  # of a report without a conclusion


@dataclass(slots=True)
class ReportList:
    """Reports of a stay."""

    entries: list[ContextEntry] = field(default_factory=list)
    pending: list[ContextEntry] = field(default_factory=list)
    contradictions: list[ContextEntry] = field(default_factory=list)
    cultures: list[ContextEntry] = field(default_factory=list)


def read_reports(
    resources: list[Resource],
    studies: list[Resource],
    shown_observations: frozenset[str],
    scope: StayScope,
    bases: frozenset[str],
) -> ReportList:
    """Return reports with a conclusion, pending ones, and contradicting pairs.

    `shown_observations` are references of the observations that the document has as results.
    """
    reports = ReportList()
    named: dict[tuple[str, str], list[tuple[ContextEntry, str]]] = {}
    images = {source(item): item for item in studies}
    for item in resources:
        time = scope.first_time(item, "effectiveDateTime", "effectivePeriod", "issued")
        name = _report_name(item, images, bases) or ("Report without a name" if _conclusion(item) else None)
        if elements.string(item, "status") == "cancelled":
            scope.leave_out(item, name, "cancelled")
            continue
        if _comes_late(item, time, scope):
            reports.pending.append(scope.entry(item, f"{name or 'Report'} ({_late_remark(item, time, scope)})", None))
            continue
        if not scope.usable(item, name, time, important=True) or name is None:
            continue
        if scope.is_issued_after(item):
            scope.leave_out(item, name, AFTER_DISCHARGE, important=True)
            continue
        entry = _read_report(item, name, time, shown_observations, scope, bases, reports)
        if entry is not None:
            named.setdefault((name.lower(), entry.on or ""), []).append((entry, _conclusion(item) or ""))
    reports.contradictions += _contradicting_reports(named)
    return reports


def _read_report(
    item: Resource,
    name: str,
    time: FhirDateTime | None,
    shown_observations: frozenset[str],
    scope: StayScope,
    bases: frozenset[str],
    reports: ReportList,
) -> ContextEntry | None:
    status = str(item.get("status"))
    if status in _PENDING:
        reports.pending.append(scope.entry(item, f"{name} ({status})", time))
    text = _conclusion(item)
    if text is None:
        results = {references.relative(part, bases) for part in elements.children(item, "result")}
        if (
            status not in _PENDING
            and not results & shown_observations
            and not (results and elements.codes(item.get("category")) & _LABORATORY)
        ):
            pictures = not elements.codes(item.get("category")) & _LABORATORY
            attached = any(elements.children(item, "presentedForm"))
            reason = "only in an attached file: read it in the chart" if attached else "without a conclusion or text"
            scope.leave_out(item, name, reason, important=pictures)
        return None
    shown = f"{name}: {text}" + (
        f" ({status})" if status in ("preliminary", "partial", "amended", "corrected", "appended") else ""
    )
    entry = scope.entry(item, shown, time)
    panel = elements.codes(item.get("category")) & _LABORATORY and elements.children(item, "result")
    if not panel or elements.string(item, "conclusion"):
        (reports.cultures if elements.codes(item.get("category")) & MICROBIOLOGY else reports.entries).append(entry)
    return entry


def _comes_late(item: Resource, time: FhirDateTime | None, scope: StayScope) -> bool:
    """Return whether a report that names the stay came after its end: it was pending then."""
    if not scope.belongs(item) or elements.string(item, "status") == "entered-in-error":
        return False
    issued = scope.parse_time(item.get("issued"))
    return any(moment is not None and moment.begins > scope.end_of_day for moment in (time, issued))


def _late_remark(item: Resource, time: FhirDateTime | None, scope: StayScope) -> str:
    issued = scope.parse_time(item.get("issued")) or time
    return f"reported {issued.text}, after the discharge" if issued is not None else "reported after the discharge"


def _report_name(item: Resource, images: dict[str, Resource], bases: frozenset[str]) -> str | None:
    """Return the name: by its code, else its imaging study, else its category."""
    if (name := elements.concept(item.get("code"))) is not None:
        return name
    for part in elements.children(item, "imagingStudy"):
        study = images.get(references.relative(part, bases) or "", {})
        name = elements.string(study, "description") or elements.concept(elements.child(study, "procedureCode"))
        if name or (name := elements.string(part, "display")):
            return name
    titles = [elements.string(form, "title") for form in elements.children(item, "presentedForm")]
    category = next((text for part in elements.children(item, "category") for text in elements.displays(part)), None)
    return (
        elements.join_distinct(titles[:1])
        or elements.concept_or_code(item.get("code"))
        or (f"{category} report" if category else None)
    )


def _conclusion(item: Resource) -> str | None:
    coded = [text for part in elements.children(item, "conclusionCode") if (text := elements.concept(part))]
    stated = elements.string(item, "conclusion")
    new = [text for text in coded if stated is None or text.lower() not in stated.lower()]
    return elements.join_distinct([stated.rstrip(".") if stated and new else stated, *new], "; ") or next(
        _attached_text(item), None
    )


def _attached_text(item: Resource) -> Iterator[str]:
    """Yield the text of attached forms, where it is inline."""
    for form in elements.children(item, "presentedForm"):
        if text := inline_text(form):
            yield (
                text
                if len(text) <= MAX_TEXT_CHARACTERS
                else f"{text[:MAX_TEXT_CHARACTERS].rpartition(' ')[0]} … (cut: {len(text)} characters)"
            )


def inline_text(attachment: Resource) -> str | None:
    """Return the text of an Attachment that carries plain text or HTML inline."""
    kind, data = elements.string(attachment, "contentType") or "", attachment.get("data")
    if (
        not kind.startswith(("text/", "application/xhtml"))
        or not isinstance(data, str)
        or len(data) > MAX_ATTACHMENT_CHARACTERS
    ):
        return None
    try:
        text = base64.b64decode(data, validate=False).decode("utf-8", errors="replace")
    except (binascii.Error, ValueError):
        return None
    return strip_markup(text) if "html" in kind or "<div" in text[:200] else text.strip() or None


def strip_markup(markup: str) -> str | None:
    """Return the text of XHTML narrative, with blocks separated."""
    spaced = re.sub(r"(?i)<(br|/p|/div|/li|/tr|/h\d|/td|/th)[^<>]*>", " \n", markup)
    text = html.unescape(re.sub(r"<[^<>]*>", "", spaced))
    return " ".join(text.split()) or None


def _contradicting_reports(named: dict[tuple[str, str], list[tuple[ContextEntry, str]]]) -> Iterator[ContextEntry]:
    for group in named.values():
        texts = dict.fromkeys(text for _, text in group)
        if len(texts) > 1:
            first, last = group[0][0], group[-1][0]
            yield last.model_copy(
                update={"text": f"Two reports of one study on one day differ: {first.text} / {last.text}"}
            )


def pending_requests(
    requests: list[Resource], results: list[Resource], scope: StayScope, bases: frozenset[str]
) -> Iterator[ContextEntry]:
    """Yield active diagnostic ServiceRequests of the stay without a report or result."""
    answered = {references.relative(part, bases) for item in results for part in elements.children(item, "basedOn")}
    for item in requests:
        if (
            not is_diagnostic(item)
            or elements.string(item, "status") not in _ORDERED
            or elements.string(item, "intent") in ("proposal", "plan", "option")
        ):
            continue
        time = scope.first_time(item, "authoredOn", "occurrenceDateTime", "occurrencePeriod")
        name = elements.concept_or_code(item.get("code"))
        after = scope.first_time(item, "occurrenceDateTime", "occurrencePeriod")
        planned = after is not None and after.begins > scope.end_of_day
        if source(item) in answered or planned or elements.boolean(item, "doNotPerform"):
            continue
        if scope.usable(item, name, time) and name is not None:
            yield scope.entry(item, f"{name} ({_ORDERED[str(item['status'])]}, no result yet)", time)


def is_diagnostic(item: Resource) -> bool:
    """Return whether a ServiceRequest asks for a test or a study, not for care or a visit."""
    codes = elements.codes(item.get("category"))
    if codes & _DIAGNOSTIC_CODES:
        return True
    texts = [text for part in elements.children(item, "category") for text in elements.displays(part)]
    if texts:
        return any(_DIAGNOSTIC.search(text) for text in texts)
    return any(system == "http://loinc.org" for system, _ in elements.coding_pairs(item.get("code")))
