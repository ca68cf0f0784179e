"""Encrypt backups so that only the holder of a private key can read them, not the machine that makes them.

A random key encrypts the files; it is itself encrypted to an X25519 public key by HPKE (RFC 9180). A file is a
sequence of AES-GCM frames with a key of its own. The nonce of a frame is its number and whether it is the last, so
that frames cannot be removed, reordered or truncated: the STREAM construction, https://eprint.iacr.org/2015/189.
"""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cli.errors import CommandError

SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
INFO = b"countersign backup 1"
FRAME = 65_536  # plain bytes per frame
TAG = 16


class BackupKey:
    """The key of one backup."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def writer(self, file: BinaryIO, name: str) -> "EncryptedWriter":
        return EncryptedWriter(file, self._cipher(name))

    def read(self, file: BinaryIO, name: str) -> Iterator[bytes]:
        """Yield the decrypted content, one frame at a time. Raises CommandError when it was changed or renamed."""
        cipher = self._cipher(name)
        number, frame = 0, file.read(FRAME + TAG)
        while True:
            following = file.read(FRAME + TAG)
            try:
                yield cipher.decrypt(_nonce(number, last=not following), frame, None)
            except InvalidTag:
                raise CommandError(f"The backup is damaged: {name} is not what was sealed.") from None
            if not following:
                return
            number, frame = number + 1, following

    def _cipher(self, name: str) -> AESGCM:
        """Derive a key per file, so that frames of one file are not valid in another."""
        return AESGCM(HKDF(hashes.SHA256(), 32, None, INFO + b"/" + name.encode()).derive(self._key))


class EncryptedWriter:
    """Encrypts what is written; `close` writes the last frame and leaves the file open."""

    def __init__(self, file: BinaryIO, cipher: AESGCM) -> None:
        self._file = file
        self._cipher = cipher
        self._pending = bytearray()
        self._number = 0

    def write(self, data: bytes) -> None:
        self._pending += data
        while len(self._pending) > FRAME:  # a full frame is kept back: it may be the last
            self._frame(bytes(self._pending[:FRAME]), last=False)
            del self._pending[:FRAME]

    def close(self) -> None:
        self._frame(bytes(self._pending), last=True)

    def _frame(self, data: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), data, None))
        self._number += 1


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def create_key(recipient: Path) -> tuple[BackupKey, str]:
    """Return the key of a new backup, and that key encrypted to the public key in the PEM file `recipient`.

    Raises CommandError when there is no such key.
    """
    try:
        public = serialization.load_pem_public_key(recipient.read_bytes())
    except (OSError, ValueError):
        public = None
    if not isinstance(public, X25519PublicKey):
        raise CommandError(
            f"{recipient} is not an X25519 public key in PEM. Create a pair: openssl genpkey -algorithm X25519 -out "
            "backup.key && openssl pkey -in backup.key -pubout -out backup.pub"
        )
    key = os.urandom(32)
    return BackupKey(key), base64.b64encode(SUITE.encrypt(key, public, info=INFO)).decode()


def decrypt_key(sealed: str, key_file: Path | None) -> BackupKey:
    """Decrypt the key of a backup with the private key in the PEM file. Raises CommandError when it does not match."""
    if key_file is None:
        raise CommandError("The backup is encrypted: name the private key with --key.")
    try:
        private = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        private = None
    if not isinstance(private, X25519PrivateKey):
        raise CommandError(f"{key_file} is not an X25519 private key in PEM without a password.")
    try:
        return BackupKey(SUITE.decrypt(base64.b64decode(sealed), private, info=INFO))
    except InvalidTag:
        raise CommandError(f"The key in {key_file} does not open this backup.") from None
