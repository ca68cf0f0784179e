"""Key pairs for encrypted backups, as `openssl genpkey -algorithm X25519` writes them."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    """The private and the public key, in PEM."""
    private = X25519PrivateKey.generate()
    key, public = folder / f"{name}.key", folder / f"{name}.pub"
    plain = serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, form))
    return key, public
