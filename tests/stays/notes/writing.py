"""Writes the notes of a stay as servers hold them: inline or as Binary, as text, HTML, RTF, PDF or Composition."""

import base64
import html
from typing import Any, Literal

from tests.stays.build import Chart
from tests.stays.elements import BASE, LOINC, concept
from tests.stays.model import Pattern, Resource
from tests.stays.words import item

Form = Literal["text", "html", "xhtml", "rtf", "pdf"]
TYPES: dict[Form, str] = {
    "text": "text/plain",
    "html": "text/html",
    "xhtml": "application/xhtml+xml",
    "rtf": "application/rtf",
    "pdf": "application/pdf",
}
CODES = {
    "admission": ("34117-2", "H&P"),
    "progress": ("11506-3", "Progress Notes"),
    "consult": ("11488-4", "Consults"),
    "operation": ("11504-8", "Op Note"),
    "procedure": ("28570-0", "Procedures"),
    "nursing": ("34746-8", "Nursing Note"),
    "emergency": ("34111-5", "ED Provider Notes"),
    "transfer": ("18761-7", "Transfer Summary"),
}


def course(*parts: str) -> Pattern:
    """What an item of the hospital course has to have, in this order."""
    return item(*parts, under=(r"hospital course",))


def encoded(text: str, form: Form) -> bytes:
    """The bytes of a file of this form with the lines of `text`."""
    match form:
        case "html":
            lines = "".join(f"<div>{html.escape(line) or '&nbsp;'}</div>\r\n" for line in text.splitlines())
            head = "<head><style>div{font:10pt}</style><title>note</title></head>"
            return f"<html>{head}<body>{lines}</body></html>".encode()
        case "xhtml":
            lines = html.escape(text).replace("\n", "<br/>")
            return f'<div xmlns="http://www.w3.org/1999/xhtml">{lines}</div>'.encode()
        case "rtf":
            return rtf(text)
        case "pdf":
            return pdf(text)
        case _:
            return text.encode()


def rtf(text: str) -> bytes:
    """As hospital systems export it: a table of fonts, colours, a generator, and every line with its style."""
    head = (
        r"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fnil\fcharset0 Segoe UI;}{\f1\fswiss Arial;}}"
        r"{\colortbl ;\red0\green0\blue0;}{\*\generator Riched20 10.0.19041;}{\info{\title hidden "
        r"title}}\viewkind4\uc1 "
    )
    body = "".join(rf"\pard\f0\fs20 {''.join(map(_rtf_character, line))}\par" + "\r\n" for line in text.splitlines())
    return f"{head}{body}}}".encode("ascii")


def _rtf_character(character: str) -> str:
    if character in "\\{}":
        return f"\\{character}"
    if ord(character) < 128:
        return character
    try:
        return f"\\'{character.encode('cp1252').hex()}"
    except UnicodeEncodeError:
        return f"\\u{ord(character)}?"


def pdf(text: str, per_page: int = 48) -> bytes:
    """A plain PDF 1.4 with the lines of `text`, in Helvetica."""
    lines = text.splitlines() or [""]
    pages = [lines[start : start + per_page] for start in range(0, len(lines), per_page)]
    objects: list[bytes] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids = []
    for page in pages:
        shown = "".join(f"({_pdf_string(line)}) Tj T*\n" for line in page)
        drawn = f"BT /F1 10 Tf 12 TL 50 780 Td\n{shown}ET".encode("latin-1", errors="replace")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn))
        stream = len(objects)
        font = b"/Resources << /Font << /F1 3 0 R >> >>"
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] %s /Contents %d 0 R >>" % (font, stream))
        kids.append(len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(b"%d 0 R" % kid for kid in kids), len(kids))
    found, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(found))
        found += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (count, len(found))
    return found + b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table) + trailer


def _pdf_string(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def note(
    chart: Chart,
    kind: str,
    text: str,
    at: str,
    *,
    author: str = "Lee, Jordan, MD",
    form: Form = "text",
    binary: bool = False,
    title: str | None = None,
    data: bytes | None = None,
    **more: Any,
) -> Resource:
    """A DocumentReference in the stay. `data` are its bytes where they are not those of `text`."""
    code, name = CODES[kind]
    content = base64.b64encode(encoded(text, form) if data is None else data).decode()
    attachment: dict[str, Any] = {"contentType": TYPES[form]}
    if binary:
        held = chart.add("Binary", contentType=TYPES[form], data=content)
        attachment["url"] = f"{BASE}/Binary/{held['id']}" if form == "pdf" else f"Binary/{held['id']}"
    else:
        attachment["data"] = content
    category = concept(
        "", ("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note")
    )
    elements = {
        "status": "current",
        "docStatus": "final",
        "type": concept(title or name, (LOINC, code)),
        "category": [category],
        "subject": chart.ref(chart.patient),
        "date": at,
        "author": [{"display": author}],
        "content": [{"attachment": attachment}],
        "context": {"encounter": [chart.ref(chart.encounter)], "period": {"start": chart.start, "end": chart.end}},
    }
    return chart.add("DocumentReference", **(elements | more))


def composition(
    chart: Chart, code: str, title: str, at: str, author: str, sections: dict[str, str], **more: Any
) -> Resource:
    """A Composition of the stay; the author is a Practitioner that only a reference names."""
    writer = chart.add("Practitioner", name=[{"text": author}])
    parts = [
        {
            "title": name,
            "text": {
                "status": "generated",
                "div": f"<div><p>{html.escape(text).replace(chr(10), '</p><p>')}</p></div>",
            },
        }
        for name, text in sections.items()
    ]
    elements = {
        "status": "final",
        "type": concept(title, (LOINC, code)),
        "date": at,
        "author": [chart.ref(writer)],
        "title": title,
    }
    return chart.of_stay("Composition", **(elements | {"section": parts} | more))
