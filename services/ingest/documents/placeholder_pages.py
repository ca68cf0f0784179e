"""Detect pages that a server sends in place of a document with status 200: sign-in, not found, cookie consent.

They must not replace a guideline. Long pages are documents whatever their title says.
"""

import re
from collections.abc import Sequence

from services.ingest.documents.blocks import Block, Heading, Table

# Characters: guideline pages worth citing are longer, or have no password field.
SHORT_PAGE_CHARACTERS = 2000
SIGN_IN = re.compile(
    r"^\W*(please\s+)?(sign[ -]?in|log[ -]?[io]n|anmelden|einloggen|aanmelden|inloggen|se connecter|connexion|"
    r"iniciar sesi[oó]n|accedi|session (has )?expired|authentication required)\b",
    re.IGNORECASE,
)
NOT_THERE = re.compile(
    r"\b(404|410|(page|document|file|site)\s+(was\s+|could not be\s+)?not\s+(be\s+)?found|not found|"
    r"seite nicht gefunden|pagina niet gevonden|page introuvable|p[aá]gina no encontrada|"
    r"no longer (available|exists))\b",
    re.IGNORECASE,
)
CONSENT = re.compile(r"\b(cookies?|privacy (settings|choices)|before you continue)\b", re.IGNORECASE)
ROBOT = re.compile(
    r"\b(just a moment|are you (a )?(human|robot)|captcha|access denied|zugriff verweigert)\b", re.IGNORECASE
)


def placeholder_reason(title: str, blocks: Sequence[Block], *, asks_password: bool) -> str | None:
    """Return why a page is not the requested document; None where it may be."""
    if sum(len(block.header if isinstance(block, Table) else block.text) for block in blocks) > SHORT_PAGE_CHARACTERS:
        return None
    names = [title, *(block.text for block in blocks if isinstance(block, Heading))][:3]
    if asks_password or any(map(SIGN_IN.search, names)):
        return "it is a sign-in page"
    if any(map(NOT_THERE.search, names)):
        return "it says that the page is not there"
    if any(map(CONSENT.search, names)):
        return "it is a page that asks for consent"
    if any(map(ROBOT.search, names)):
        return "it is a page that keeps programs out"
    return None
