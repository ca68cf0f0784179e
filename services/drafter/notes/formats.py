"""Read the text of an Attachment that is plain text, HTML or RTF. Pure; PDF is read in `pdf.py`."""

import base64
import binascii
import re
from typing import Literal

from services.drafter.notes import html_text, rtf
from shared.clinical import elements
from shared.clinical.elements import Resource

Format = Literal["text", "html", "rtf", "pdf"]
MAX_ATTACHMENT_BYTES = 5_000_000  # of one attachment
MAX_TEXT_CHARACTERS = 400_000  # of one note
PREFERRED: tuple[Format, ...] = ("text", "html", "rtf", "pdf")  # of one note in several formats
_TYPES: dict[str, Format] = {
    "text/plain": "text",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/rtf": "rtf",
    "application/rtf": "rtf",
    "application/x-rtf": "rtf",
    "application/pdf": "pdf",
}
_MARKUP = re.compile(r"\s*(<!doctype html|<\?xml|<html|<div|<body|<p\b|<table|<span)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff]")


class UnreadableAttachmentError(ValueError):
    """The attachment has no readable text. The message quotes nothing of it."""


def media_type(text: str | None) -> str:
    """Return the type without parameters: `text/html` of `text/html; charset=utf-8`."""
    return (text or "").partition(";")[0].strip().lower()


def format_of(stated: str | None) -> Format | None:
    """Return the format of a media type; None for one that is not supported."""
    return _TYPES.get(media_type(stated))


def data_of(attachment: Resource) -> bytes | None:
    """Return the inline bytes of an attachment; None where it has none.

    Raises UnreadableAttachmentError for invalid base64 or too many bytes.
    """
    data = attachment.get("data")
    if not isinstance(data, str) or not data.strip():
        return None
    if len(data) > MAX_ATTACHMENT_BYTES * 4 // 3 + 1024:
        raise UnreadableAttachmentError(f"it is larger than {MAX_ATTACHMENT_BYTES // 1_000_000} MB")
    try:
        return base64.b64decode(re.sub(r"\s+", "", data), validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableAttachmentError("it is damaged") from None


def detect_format(data: bytes, stated: str | None) -> Format | None:
    """Return the format by the first bytes where they are clear, else as stated: PDF is sent as HTML, RTF as text."""
    head = data[:1024].lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(b"{\\rtf"):
        return "rtf"
    format = format_of(stated)
    if format in ("text", "html") and b"\x00\x00\x00" in data[:4096]:
        return None  # a picture or an office document that is called text
    if format == "text" and _MARKUP.match(head.decode("latin-1")):
        return "html"
    return format


def text_of(data: bytes, format: Format, stated: str | None) -> str:
    """Return the text of anything but PDF, with its lines.

    Raises UnreadableAttachmentError.
    """
    if len(data) > MAX_ATTACHMENT_BYTES:
        raise UnreadableAttachmentError(f"it is larger than {MAX_ATTACHMENT_BYTES // 1_000_000} MB")
    try:
        if format == "rtf":
            text = rtf.text_of(data.decode("cp1252", errors="replace"))
        elif format == "html":
            text = html_text.lines_of(_decoded(data, stated))
        else:
            text = _decoded(data, stated)
    except ValueError as error:
        raise UnreadableAttachmentError(str(error)) from None
    return check_text(text)


def check_text(text: str) -> str:
    """Return the text without control characters.

    Raises UnreadableAttachmentError where it is empty or too long.
    """
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not re.search(r"\w", text):
        raise UnreadableAttachmentError("there is no text in it")
    if text.count("\ufffd") > len(text) / 10:
        raise UnreadableAttachmentError("its characters cannot be read")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise UnreadableAttachmentError(f"its text is longer than {MAX_TEXT_CHARACTERS} characters")
    return text


def unknown_format_reason(stated: str | None) -> UnreadableAttachmentError:
    """Return why a format is not read; a media type is named only where it is valid."""
    named = media_type(stated)
    shown = f" ({named})" if re.fullmatch(r"[a-z]+/[a-z0-9.+-]{1,80}", named) else ""
    return UnreadableAttachmentError(f"its format{shown} is not one of text, HTML, RTF and PDF")


def _decoded(data: bytes, stated: str | None) -> str:
    """Decode by byte order mark, else as UTF-8, else by the stated charset, else as Windows-1252."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    charset = re.search(r"charset=\"?([\w.:-]{1,40})", stated or "", re.IGNORECASE)
    for encoding in ("utf-8-sig", charset[1] if charset else "cp1252", "cp1252"):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("latin-1")


def attachments_of(document: Resource) -> list[Resource]:
    """Return the attachments of a DocumentReference, preferred formats first."""
    attachments = [elements.child(part, "attachment") for part in elements.children(document, "content")]

    def rank(attachment: Resource) -> int:
        format = format_of(elements.string(attachment, "contentType"))
        return PREFERRED.index(format) if format else len(PREFERRED)

    return sorted((item for item in attachments if item), key=rank)
