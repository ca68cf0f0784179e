"""The signed text as XHTML: a whole page to read and print, and the narratives of a FHIR document. Pure.

Elements are built, never pasted together from text: what looks like markup in the text is text. Narratives keep to what
FHIR allows (https://hl7.org/fhir/R4/narrative.html#xhtml): no script, no style, no form, no event.
"""

from collections.abc import Iterable, Iterator

from lxml import etree

from services.approval.filing.renditions.signed import Block, SignedText, writable

NAMESPACE = "http://www.w3.org/1999/xhtml"
LANGUAGE = "en"
_XML_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_STYLE = """
body { font: 11pt/1.4 sans-serif; color: #000; background: #fff; max-width: 48em; margin: 2em auto; padding: 0 1em }
body { overflow-wrap: anywhere }
h1 { font-size: 1.5em } h2 { font-size: 1.2em; border-bottom: 1px solid #555 } h3 { font-size: 1em; margin-bottom: 0 }
table { border-collapse: collapse } th, td { border: 1px solid #555; padding: 0.2em 0.4em; text-align: left }
footer { border-top: 1px solid #555; margin-top: 2em }
"""


def page(text: SignedText, signature: Iterable[str]) -> bytes:
    """Return the document as a page, UTF-8; `signature` are the lines below it."""
    root = _element("html", lang=LANGUAGE)
    root.set(_XML_LANGUAGE, LANGUAGE)
    head = _add(root, "head")
    _add(head, "title", text.title)
    _add(head, "style", _STYLE).set("type", "text/css")
    body = _add(root, "body")
    main = _add(body, "main")
    _add(main, "h1", text.title)
    for section in text.sections:
        place = _add(main, "section")
        if section.title:
            _add(place, "h2", section.title)
        for block in section.blocks:
            place.extend(_block(block, "h3"))
    footer = _add(body, "footer")
    for line in signature:
        _add(footer, "p", line)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", doctype="<!DOCTYPE html>"))


def narrative(blocks: Iterable[Block]) -> str:
    """Return the `div` of a FHIR narrative."""
    root = _element("div", lang=LANGUAGE)
    root.set(_XML_LANGUAGE, LANGUAGE)
    for block in blocks:
        root.extend(_block(block, "h3"))
    return str(etree.tostring(root, encoding="unicode"))


def _block(block: Block, level: str) -> Iterator[etree._Element]:
    if block.title:
        yield _element(level, block.title)
    if block.columns:
        yield _table(block)
        return
    items: etree._Element | None = None
    for line in block.lines:
        if not line.item:
            items = None
            yield _element("p", line.text)
            continue
        if items is None:
            items = _element("ul")
            yield items  # its items follow: a caller uses the element itself
        _add(items, "li", line.text)


def _table(block: Block) -> etree._Element:
    table = _element("table")
    head = _add(_add(table, "thead"), "tr")
    for column in block.columns:
        _add(head, "th", column).set("scope", "col")
    body = _add(table, "tbody")
    for line in block.lines:
        row = _add(body, "tr")
        _add(row, "th", line.cells[0]).set("scope", "row")
        for cell in line.cells[1:]:
            _add(row, "td", cell)
    return table


def _element(name: str, text: str = "", **attributes: str) -> etree._Element:
    element = etree.Element(f"{{{NAMESPACE}}}{name}", attributes, nsmap={None: NAMESPACE})
    element.text = writable(text) or None
    return element


def _add(parent: etree._Element, name: str, text: str = "") -> etree._Element:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    element.text = writable(text) or None
    return element
