"""A certificate that identifies the key of a client's assertions, for servers that know certificates and no key sets.

Microsoft Entra ID and AD FS find the key by the certificate's thumbprint.
https://learn.microsoft.com/entra/identity-platform/certificate-credentials, RFC 7515, sections 4.1.7 and 4.1.8
"""

import base64
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from shared.contracts.errors import PermanentError
from shared.oauth.client_keys import ClientKey

# The preferred one first: Entra ID asks for PS256, AD FS for RS256.
RSA_ALGORITHMS = ("PS256", "RS256")
CURVES = {"P-256": "ES256", "P-384": "ES384"}


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A private key, and the header parameters by which a server finds its certificate."""

    key: ClientKey
    thumbprints: dict[str, str]
    expires: datetime

    def algorithm(self, accepted: Collection[str]) -> str | None:
        """Return the algorithm to sign with; None if the server accepts none of the key's.

        `accepted` is empty where the server names no algorithms.
        """
        own = RSA_ALGORITHMS if isinstance(self.key, RSAKey) else (CURVES.get(str(self.key.get("crv")), ""),)
        return next((item for item in own if item and (not accepted or item in accepted)), None)


def read_certificate(certificate: Path, keys: Path) -> ClientCertificate:
    """Return the certificate of a file with its key. Raises OSError, UnicodeDecodeError, PermanentError."""
    return parse_certificate(certificate.read_bytes(), keys.read_text(encoding="utf-8"))


def parse_certificate(pem: bytes, keys: str) -> ClientCertificate:
    """Return the certificate with its key, which is one of `keys`: a PEM private key, or a JWK Set.

    Raises PermanentError where one of them cannot be read, or none of the keys is the certificate's.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        public = _spki(certificate.public_key())
    except ValueError:
        raise PermanentError("the file of our client's certificate is not a PEM certificate") from None
    key = next((item for item in _private_keys(keys) if _spki(item.public_key) == public), None)
    if key is None:
        raise PermanentError("none of our client's private keys belongs to its certificate")
    found = {
        "x5t#S256": _thumbprint(certificate, hashes.SHA256()),
        "x5t": _thumbprint(certificate, hashes.SHA1()),  # noqa: S303 - a name, as RFC 7515 has it; it protects nothing
    }
    return ClientCertificate(key, found, certificate.not_valid_after_utc)


def _private_keys(text: str) -> Iterator[ClientKey]:
    try:
        if "-----BEGIN" in text:
            yield _from_pem(text)
            return
        for key in KeySet.import_key_set(json.loads(text)).keys:
            if isinstance(key, ECKey | RSAKey) and key.is_private:
                yield key
    except (ValueError, TypeError, KeyError, AttributeError, JoseError):
        raise PermanentError("the file of our client's keys is neither a PEM private key nor a JWK Set") from None


def _from_pem(text: str) -> ClientKey:
    """Return the RSA or EC key of a PEM file without a password."""
    try:
        key: ClientKey = RSAKey.import_key(text)
    except (ValueError, TypeError, JoseError):
        key = ECKey.import_key(text)
    if not key.is_private:
        raise ValueError
    return key


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _thumbprint(certificate: x509.Certificate, algorithm: hashes.HashAlgorithm) -> str:
    return base64.urlsafe_b64encode(certificate.fingerprint(algorithm)).rstrip(b"=").decode()
