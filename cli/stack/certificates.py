"""The private CA of an installation and the certificate of its NATS servers, created once and renewed in time.

X.509 as RFC 5280 has it, ECDSA on P-256. One certificate serves every server, for clients and for the others of the
cluster; it names all of them. Names and times come in as arguments; `keep` alone reads and writes files.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cli.errors import CommandError
from cli.stack.access import write_private

CA, CA_KEY, CERTIFICATE, KEY = "ca.crt", "ca.key", "nats.crt", "nats.key"
CA_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=730)
RENEW_BEFORE = timedelta(days=180)  # before it expires: that time includes an upgrade or two
SKEW = timedelta(hours=1)  # clocks of other machines may be slow
HOST = r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_authority(now: datetime) -> CertificatePair:
    """Create a CA that signs server certificates, but no other CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Countersign NATS CA")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    certificate = (
        _builder(name, name, key, now, now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return CertificatePair(certificate, key)


def make_server(authority: CertificatePair, names: Iterable[str], now: datetime) -> CertificatePair:
    """Create a certificate for servers with these `names` (DNS names and addresses)."""
    key = ec.generate_private_key(ec.SECP256R1())
    end = min(now + LIFETIME, authority.certificate.not_valid_after_utc)
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]  # a route has two ends
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(_name("nats"), authority.certificate.subject, key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName(list(map(_general_name, sorted(set(names))))), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return CertificatePair(certificate, key)


def names_of(certificate: x509.Certificate) -> set[str]:
    """Return the DNS names and addresses of a certificate."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(item) for kind in (x509.DNSName, x509.IPAddress) for item in found.get_values_for_type(kind)}


def needs_renewal(certificate: x509.Certificate, host_names: Iterable[str], now: datetime) -> bool:
    """Return whether the certificate expires soon or lacks a name."""
    return certificate.not_valid_after_utc - now < RENEW_BEFORE or not set(host_names) <= names_of(certificate)


def ensure_certificates(directory: Path, host_names: Iterable[str], now: datetime) -> None:
    """Create or renew our CA and certificate in `directory`. Existing names of the certificate are kept.

    Files of another PKI (no `ca.key`, another key, or signed by another CA) are left unchanged. Raises CommandError
    when files do not match or cannot be read.
    """
    authority, found = _authority(directory, now), _certificate(directory)
    if authority is None:
        _check_foreign(directory, found)
        return
    if found is not None:
        if not _is_signed_by(found, authority.certificate):
            _check_foreign(directory, found)
            return
        host_names = set(host_names) | names_of(found)
        if not needs_renewal(found, host_names, now) and _key_matches(directory, found):
            return
    made = make_server(authority, host_names, now)
    write_private(directory / KEY, key_text(made.key))
    write_private(directory / CERTIFICATE, certificate_text(made.certificate))


def _authority(directory: Path, now: datetime) -> CertificatePair | None:
    """Return our CA, created if there are no files; None if another PKI is used."""
    if not any((directory / name).exists() for name in (CA, CA_KEY, CERTIFICATE, KEY)):
        made = make_authority(now)
        write_private(directory / CA_KEY, key_text(made.key))
        write_private(directory / CA, certificate_text(made.certificate))
        return made
    if not (directory / CA).exists():
        raise CommandError(
            f"{directory / CA} is missing: put the CA's certificate there, or remove {CA_KEY}, {CERTIFICATE} and {KEY} "
            "to have all of them created again."
        )
    if not (directory / CA_KEY).exists():
        return None
    certificate, key = _load(directory / CA), _load_key(directory / CA_KEY)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return CertificatePair(certificate, key)


def _check_foreign(directory: Path, certificate: x509.Certificate | None) -> None:
    """Check files of another PKI: a certificate with its key, or neither if the servers are elsewhere."""
    if certificate is None and not (directory / KEY).exists():
        return
    if certificate is None or not _key_matches(directory, certificate):
        raise CommandError(f"{directory / KEY} is not the key of {directory / CERTIFICATE}: put a matching pair there.")


def _certificate(directory: Path) -> x509.Certificate | None:
    file = directory / CERTIFICATE
    return _load(file) if file.exists() else None


def _key_matches(directory: Path, certificate: x509.Certificate) -> bool:
    file = directory / KEY
    return file.exists() and _load_key(file).public_key() == certificate.public_key()


def _is_signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _load(file: Path) -> x509.Certificate:
    """Load the first certificate of the file: the server's own, in a chain."""
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())[0]
    except ValueError:
        raise CommandError(f"{file} is not a certificate in PEM.") from None


def _load_key(file: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError):
        raise CommandError(f"{file} is not a private key in PEM without a password.") from None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(name: str) -> x509.GeneralName:
    """Return a DNS name or an address for a certificate. Raises CommandError."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if not re.fullmatch(HOST, name):
        raise CommandError(f"{name!r} is neither a host name nor an address: give it without scheme and port.")
    return x509.DNSName(name)


def _usage(**allowed: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**dict.fromkeys(USAGES, False) | allowed)


def key_text(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the key as PEM without a password."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode().strip()


def certificate_text(certificate: x509.Certificate) -> str:
    """Return the certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode().strip()
