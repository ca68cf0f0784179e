"""MDM messages, their answers, and the way to their receiver."""

import asyncio
import base64
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cli.stack.certificates import CA, CERTIFICATE, KEY, ensure_certificates
from services.approval.filing.mdm.answers import Answer, read_answer
from services.approval.filing.mdm.message import (
    Content,
    DocumentHeader,
    Header,
    MdmIdentifier,
    MdmMessage,
    MdmPatient,
    Signer,
    Visit,
    compose,
)
from shared.contracts.errors import PermanentError, TransientError
from shared.hl7.client import exchange
from shared.hl7.message import Message, messages_in
from shared.hl7.mllp import CR, FS, VT, frame
from shared.hl7.write import UnencodableError, escape
from shared.runtime.mdm_settings import MdmSettings
from tests.support.mdm_receiver import acknowledgment, receiving

AT = datetime(2026, 11, 29, 8, 30, tzinfo=UTC)
SIGNER = Signer(MdmIdentifier("17", "NPI"), "Okafor")


def message(text: str = "A line", pdf: bytes | None = None, **header: str) -> MdmMessage:
    return MdmMessage(
        "T02",
        Header(
            ("COUNTERSIGN", "MAIN"),
            ("CHART", "MAIN"),
            header.get("id", "id-1"),
            "P",
            AT,
            header.get("charset", "UNICODE UTF-8"),
        ),
        MdmPatient(
            MdmIdentifier("MRN-1", "HOSP"),
            header.get("family", "Wójcik"),
            header.get("given", "Łucja"),
            "19500102",
            "F",
        ),
        Visit("I", MdmIdentifier("V-1")),
        DocumentHeader(
            "case/final/1", ("DS", "Discharge summary"), "LA", AT, AT, Signer(MdmIdentifier("17", "NPI"), "Okafor")
        ),
        Content(("18842-5", "Discharge summary"), text, pdf),
    )


def read(content: bytes) -> Message:
    (found,) = messages_in(content)
    return found


def test_a_document_has_what_its_receiver_needs() -> None:
    assert compose(message("Line | one\n\n  - two")).decode().split("\r") == [
        "MSH|^~\\&|COUNTERSIGN|MAIN|CHART|MAIN|20261129083000+0000||MDM^T02^MDM_T02|id-1|P|2.5.1||||||UNICODE UTF-8",
        "EVN|T02|20261129083000+0000",
        "PID|1||MRN-1^^^HOSP^MR||Wójcik^Łucja||19500102|F",
        "PV1|1|I|||||||||||||||||V-1^^^^VN",
        "TXA|1|DS^Discharge summary^HL70270|TX|20261129083000+0000||20261129083000+0000|||17^Okafor^^^^^^^NPI|||"
        "case/final/1^COUNTERSIGN|||||LA||AV|||17^Okafor^^^^^^^NPI^^^^^^20261129083000+0000",
        "OBX|1|TX|18842-5^Discharge summary^LN||Line \\F\\ one||||||F",
        "OBX|2|TX|18842-5^Discharge summary^LN||||||||F",
        "OBX|3|TX|18842-5^Discharge summary^LN||  - two||||||F",
        "",
    ]


def test_a_pdf_is_one_segment() -> None:
    found = read(compose(message(pdf=b"%PDF-1.7 \x00")))
    assert found.value("TXA", 3) == "AP"
    assert [found.value("OBX", 5, part) for part in (2, 3, 4)] == ["application", "pdf", "Base64"]
    assert base64.b64decode(found.value("OBX", 5, 5)) == b"%PDF-1.7 \x00"


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_every_text_comes_back_as_it_was(text: str) -> None:
    found = read(compose(message(text)))
    assert found.text(found.raw("OBX", 5), "utf-8") == text


@pytest.mark.parametrize("charset", ["ASCII", "8859/1", "8859/2", "KS X 1001"])
@given(text=st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_every_text_comes_back_from_a_charset_that_does_not_have_it(charset: str, text: str) -> None:
    content = compose(message(text, charset=charset), escape_others=True)
    found = read(content)
    assert found.value("MSH", 18) == charset
    assert found.text(found.raw("OBX", 5), "ascii") == text
    assert found.text(found.raw("PID", 5), "ascii") == "Wójcik^Łucja"


def test_a_charset_has_its_own_bytes_and_names_what_it_does_not_have() -> None:
    german = message("Größe 1,80 m", charset="8859/1", family="Müller", given="Jörg")
    assert "Größe 1,80 m".encode("latin-1") in compose(german)
    with pytest.raises(UnencodableError, match=r"^U\+0141, U\+2013$"):
        compose(message("5 – 7", charset="8859/1"))


def test_an_unknown_charset_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="must be one of"):
        MdmSettings(charset="UTF-16")


@pytest.mark.parametrize("codec", ["utf-8", "latin-1", "utf-8-sig", "utf-16"])
def test_an_answer_may_have_any_charset(codec: str) -> None:
    answer = "MSH|^~\\&|CHÄRT||||||ACK|R-1|P|2.5.1\rMSA|AA|id-1|Übernommen\r"
    assert read_answer(answer.encode(codec), "id-1") == Answer("AA", "R-1")


async def test_nothing_is_sent_after_the_turn_has_ended() -> None:
    async with receiving() as receiver:
        ended = asyncio.get_running_loop().time() - 1
        with pytest.raises(TransientError, match="its turn has ended"):
            await exchange(receiver.settings.address(), compose(message()), lambda _: None, ended)
        assert receiver.contents == []


@given(st.text())
def test_no_text_ends_a_segment_or_a_frame(text: str) -> None:
    assert not {VT.decode(), FS.decode(), CR.decode(), "\n", "|", "^", "~", "&"} & set(escape(text))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("MSA|AA|id-1\r", Answer("AA", "R-1")),
        ("MSA|AE|id-1|Mr Smith is unknown\rERR|||204^Unknown key^HL70357|E\r", Answer("AE", "R-1", "204")),
        ("MSA|AR|id-1\rERR|PID^1^3^204\r", Answer("AR", "R-1", "204")),
        ("MSA|AE|id-1||||207\r", Answer("AE", "R-1", "207")),
        ("MSA|AE|id-1\rERR|||Mr Smith is unknown\r", Answer("AE", "R-1")),  # a patient's name is no code
        ("MSA||id-1\r", Answer("none", "R-1")),
        ("MSA|AA|id-10\r", None),
        ("MSA|AA|ID-1\r", None),
        ("MSA|AA|\r", None),
        ("", None),
    ],
)
def test_an_answer_counts_for_the_message_that_it_names(answer: str, expected: Answer | None) -> None:
    assert read_answer(f"MSH|^~\\&|||||||ACK|R-1|P|2.5.1\r{answer}".encode(), "id-1") == expected


async def test_a_late_answer_is_not_taken_for_another_message() -> None:
    late: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(FS)
        if not late:
            late.append(writer)
            return
        late[0].write(frame(acknowledgment("AA", "first")))  # its connection is closed by now
        writer.write(frame(acknowledgment("AE", "second")))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    to = MdmSettings(host="127.0.0.1", port=server.sockets[0].getsockname()[1], timeout=0.2).address()
    try:
        with pytest.raises(TransientError, match="has not answered within"):
            await exchange(to, compose(message(id="first")), lambda content: read_answer(content, "first"))
        answer = await exchange(to, compose(message(id="second")), lambda content: read_answer(content, "second"))
        assert answer.code == "AE"
    finally:
        server.close()


async def test_tls_with_client_certificates(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, ["127.0.0.1"], datetime.now(UTC))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / CA))
    context.load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)
    context.verify_mode = ssl.CERT_REQUIRED
    own: dict[str, Any] = {"certificate_file": tmp_path / CERTIFICATE, "key_file": tmp_path / KEY}
    async with receiving(context) as receiver:
        common: dict[str, Any] = {"host": "127.0.0.1", "port": receiver.port, "timeout": 5}
        with_certificate = MdmSettings(**common, ca_file=tmp_path / CA, **own)
        answer = await exchange(
            with_certificate.address(), compose(message()), lambda content: read_answer(content, "id-1")
        )
        assert answer.accepted
        for settings in (MdmSettings(**common, ca_file=tmp_path / CA), MdmSettings(**common)):
            with pytest.raises(TransientError):
                await exchange(settings.address(), compose(message()), lambda content: read_answer(content, "id-1"))
        assert len(receiver.contents) == 1


def test_settings_that_cannot_work_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="set both"):
        MdmSettings(ca_file=tmp_path / "ca", certificate_file=tmp_path / "crt")
    with pytest.raises(ValueError, match="needs COUNTERSIGN_MDM_CA_FILE"):
        MdmSettings(certificate_file=tmp_path / "crt", key_file=tmp_path / "key")
    types: Any = '{"18842-5": "DS^x"}'
    with pytest.raises(ValueError, match="document type"):
        MdmSettings(document_types=types)
    with pytest.raises(PermanentError, match="cannot be used"):
        MdmSettings(host="engine", ca_file=tmp_path / "missing").address()
