"""Settings of the receiver of documents as HL7v2 MDM messages."""

import json
import re
import ssl
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.contracts.errors import PermanentError
from shared.hl7.client import MllpAddress
from shared.hl7.message import CHARSETS
from shared.hl7.write import DEFAULT_CHARSET


def parse_document_types(value: object) -> object:
    """JSON of LOINC code → code of HL7 table 0270. Raises ValueError saying what is wrong with it."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except ValueError:
            raise ValueError("is not valid JSON") from None
    if not isinstance(value, dict) or not all(
        re.fullmatch(r"[A-Za-z0-9._-]{1,30}", str(item)) for item in value.values()
    ):
        raise ValueError("must be an object: LOINC code → document type")
    return value


def check_charset(value: str) -> str:
    """Return the charset. Raises ValueError for one that is not known."""
    if value not in CHARSETS:
        raise ValueError(f"must be one of {', '.join(CHARSETS)}")
    return value


class MdmSettings(BaseSettings):
    """Where documents are sent as HL7v2 MDM messages, and what the receiver agreed to."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_MDM_", extra="ignore", frozen=True)

    host: str = Field(default="", description="host of the MLLP receiver of documents; empty: none")
    port: int = Field(default=2575, ge=1, le=65535, description="port of the MLLP receiver")
    timeout: float = Field(default=30.0, gt=0, le=60, description="seconds to wait for the answer to a message")
    ca_file: Path | None = Field(
        default=None, description="CA certificates of the receiver; set, the connection is TLS"
    )
    certificate_file: Path | None = Field(default=None, description="our TLS client certificate, with its chain")
    key_file: Path | None = Field(default=None, description="private key of the client certificate")
    sending_application: str = Field(default="COUNTERSIGN", description="MSH-3")
    sending_facility: str = Field(default="", description="MSH-4")
    receiving_application: str = Field(default="", description="MSH-5")
    receiving_facility: str = Field(default="", description="MSH-6")
    processing_id: Literal["P", "T", "D"] = Field(default="P", description="MSH-11: production, training, debugging")
    charset: Annotated[str, AfterValidator(check_charset)] = Field(
        default=DEFAULT_CHARSET, description="MSH-18 and the encoding of messages (HL7 table 0211), such as 8859/1"
    )
    unencodable: Literal["hold", "escape"] = Field(
        default="hold",
        description="a character that the charset does not have. hold: the document is held; escape: it is written as "
        "`\\X…\\` with the hexadecimal bytes of its UTF-8",
    )
    content: Literal["text", "pdf"] = Field(
        default="text", description="text: one OBX segment a line; pdf: the PDF in one OBX segment, as Base64"
    )
    completion: Literal["LA", "AU"] = Field(
        default="LA", description="TXA-17: LA legally authenticated, AU authenticated"
    )
    document_types: Annotated[dict[str, str], NoDecode, BeforeValidator(parse_document_types)] = Field(
        default={}, description="LOINC code of a document → TXA-2 (HL7 table 0270); others are DS"
    )
    mrn_system: str | None = Field(
        default=None, description="system of the MRN in Patient.identifier; not set: the identifier of type MR"
    )
    mrn_authority: str = Field(default="", description="assigning authority of the MRN, PID-3.4")
    visit_system: str | None = Field(
        default=None, description="system of the visit number in Encounter.identifier; not set: the only one"
    )
    visit_authority: str = Field(default="", description="assigning authority of the visit number, PV1-19.4")
    practitioner_system: str | None = Field(
        default=None, description="system of the signer's id in Practitioner.identifier; not set: the NPI"
    )
    practitioner_authority: str = Field(default="", description="assigning authority of the signer's id, TXA-9.9")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("set both COUNTERSIGN_MDM_CERTIFICATE_FILE and COUNTERSIGN_MDM_KEY_FILE")
        if self.certificate_file is not None and self.ca_file is None:
            raise ValueError("COUNTERSIGN_MDM_CERTIFICATE_FILE needs COUNTERSIGN_MDM_CA_FILE")
        return self

    @property
    def configured(self) -> bool:
        return bool(self.host)

    def address(self) -> MllpAddress:
        """Return the receiver. Raises PermanentError for certificates that cannot be used."""
        return MllpAddress(self.host, self.port, self.timeout, self._tls())

    def _tls(self) -> ssl.SSLContext | None:
        if self.ca_file is None:
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file))
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise PermanentError(
                f"the certificates of the MDM receiver cannot be used ({type(error).__name__})"
            ) from None
        return context
