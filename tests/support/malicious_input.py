"""Malicious request bodies and documents: small to send, but large, slow or deeply nested to read. Pure."""

import io
import json
import random
import zipfile
from collections.abc import Callable

import docx

KB, MB = 2**10, 2**20
PARAGRAPH = f"<w:p><w:r><w:t>{'0' * 1000}</w:t></w:r></w:p>"


def word(body: str, before: str = "") -> bytes:
    """A DOCX with `body` as the XML of its body, and `before` in front of the document."""
    empty = io.BytesIO()
    docx.Document().save(empty)
    made = io.BytesIO()
    with zipfile.ZipFile(empty) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename == "word/document.xml":
                start, end = content.index(b"<w:body>") + 8, content.index(b"</w:body>")
                content = content[:start] + body.encode() + content[end:]
                content = content.replace(b"<w:document", before.encode() + b"<w:document", 1)
            new.writestr(item.filename, content)
    return made.getvalue()


def table_row(span: int) -> str:
    """The XML of a table row with one cell that spans `span` columns."""
    cell = f'<w:tc><w:tcPr><w:gridSpan w:val="{span}"/></w:tcPr><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc>'
    return f"<w:tr>{cell}</w:tr>"


def table(span: int) -> str:
    return f"<w:tbl>{table_row(span)}</w:tbl>"


def zip_of(content: bytes, name: str = "inner.zip") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(name, content)
    return made.getvalue()


def understated(data: bytes) -> bytes:
    """Return the same DOCX, whose directory and headers declare its text to be one byte long."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        size = packed.getinfo("word/document.xml").file_size
    return data.replace(size.to_bytes(4, "little"), (1).to_bytes(4, "little"))


def many_files() -> bytes:
    """Return a DOCX with eight files of 20 MB."""
    made = io.BytesIO(word("<w:p/>"))
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as packed:
        for number in range(8):
            packed.writestr(f"word/media/{number}.xml", bytes(20 * MB))
    return made.getvalue()


def nested_entities(levels: int = 9) -> str:
    """Entities of entities: ten to the power of `levels` words."""
    entities = ['<!ENTITY e0 "lol">'] + [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, levels + 1)]
    return f"<!DOCTYPE x [{''.join(entities)}]>"


def nested_pdf(depth: int, objects: int = 300) -> bytes:
    """Return a PDF of `objects` page trees, each with arrays nested `depth` deep."""
    parts = [b"<</Type/Catalog/Pages 2 0 R>>"]
    parts += [
        b"<</Type/Pages/Kids[%d 0 R]/Count 1/X %s>>" % (n + 3, b"[" * depth + b"]" * depth) for n in range(objects)
    ]
    out = b"%PDF-1.7\n" + b"".join(b"%d 0 obj%s endobj\n" % (number, part) for number, part in enumerate(parts, 1))
    return out + b"trailer<</Size %d/Root 1 0 R>>\n%%%%EOF" % (len(parts) + 1)


DOCUMENTS: dict[str, Callable[[], tuple[str, bytes]]] = {
    "300 kB that are 160 MB": lambda: ("x.docx", word(PARAGRAPH * 150_000)),
    "two thousand million columns": lambda: ("x.docx", word(table(2_000_000_000))),
    "entities of entities": lambda: ("x.docx", word("<w:p><w:r><w:t>&e9;</w:t></w:r></w:p>", nested_entities())),
    "a deep PDF": lambda: ("x.pdf", nested_pdf(10_000)),
    "deep HTML": lambda: ("x.html", b"<div>" * 1_000_000 + b"x"),
    "deep Markdown": lambda: ("x.md", b"> " * 500_000 + b"x"),
}


def deep_json(size: int) -> bytes:
    """JSON that is nested as deeply as `size` bytes allow."""
    return b'{"a":' * (size // 7) + b"1" + b"}" * (size // 7)


def wide_json(size: int) -> bytes:
    """A JSON object of as many unknown members as `size` bytes allow: one error each."""
    return b"{" + b",".join(b'"%x":0' % number for number in range(size // 10)) + b"}"


def empty_objects(size: int) -> bytes:
    """A FHIR Bundle of empty lists: three bytes on the line, sixty in memory."""
    begin, end = b'{"resourceType":"Bundle","type":"history","entry":[', b"]}"
    return begin + b"[]," * ((size - len(begin) - len(end) - 2) // 3) + b"[]" + end


def many_resources(size: int) -> bytes:
    """A FHIR Bundle about as many Tasks as `size` bytes allow."""
    entries = [{"fullUrl": f"Task/{number}"} for number in range(size // 32)]
    return json.dumps({"resourceType": "Bundle", "type": "history", "entry": entries}).encode()


def form_fields(size: int) -> bytes:
    """A form of as many fields as `size` bytes allow."""
    return b"confirmed=1&" * (size // 12)


def short_sentences(characters: int) -> str:
    """As many sentences, each different, as `characters` allow."""
    return "".join(f"{number:x}.\n" for number in range(characters // 6))


def random_text(chance: random.Random, characters: int) -> str:
    """Words that no draft has, one a line here and there: what a comparison finds hardest."""
    words, length = [], 0
    while length < characters:
        word = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(1, 6)))
        words.append(word + chance.choice("     \n"))
        length += len(words[-1])
    return "".join(words)[:characters]
