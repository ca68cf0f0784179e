"""Certificates of our client, as a hospital makes them with openssl."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem_of(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(key: PrivateKey, *, days: int = 365) -> bytes:
    """A certificate of the key, which ends in so many days."""
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "countersign")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    begin, end = now - timedelta(days=400), now + timedelta(days=days)
    return builder.not_valid_before(begin).not_valid_after(end).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def write_pair(directory: Path, key: PrivateKey, *, days: int = 365) -> dict[str, Path]:
    """Write key and certificate; returns the settings that name them."""
    files = {name: directory / f"{name}.pem" for name in ("client_key_file", "client_certificate_file")}
    files["client_key_file"].write_bytes(pem_of(key))
    files["client_certificate_file"].write_bytes(self_signed(key, days=days))
    return files
