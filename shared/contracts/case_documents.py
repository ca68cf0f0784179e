"""The signed documents of a case."""

from shared.contracts.case_state import Case, ChartEntry
from shared.contracts.corrections import Addended, Amended
from shared.contracts.envelope import sha256_hex
from shared.contracts.events import Approved


def latest_document(case: Case) -> ChartEntry | None:
    """Return the whole document that was signed last; None before the first signature."""
    return next((entry for entry in reversed(case.entries) if entry.whole), None)


def addenda(case: Case) -> tuple[ChartEntry, ...]:
    """Return the addenda to the latest document."""
    return tuple(entry for entry in case.entries if not entry.whole)


def current_digest(case: Case) -> str:
    """Return the digest of the current document: of the final text or, with addenda, of all digests in order.

    Returns an empty string before the first signature.
    """
    last = latest_document(case)
    signed = [signed_digest(entry) for entry in (last, *addenda(case)) if entry is not None]
    return signed[0] if len(signed) == 1 else sha256_hex("\n".join(signed).encode()) if signed else ""


def signed_digest(entry: ChartEntry) -> str:
    """Return the SHA-256 of the text that was signed."""
    body = entry.signature.body
    return body.signed if isinstance(body, Approved | Amended | Addended) else ""
