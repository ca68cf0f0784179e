"""TLS to NATS: which CAs we trust, and a sentence that says what is wrong when it fails.

nats-py treats `tls://` as a preference: it encrypts if the server's first line, sent in plain text, says so, and an
attacker in between can remove that. Therefore the handshake comes first; the server's `tls` block needs
`handshake_first`.
"""

import logging
import ssl
from pathlib import Path

from shared.contracts.errors import PermanentError

SETTING = "COUNTERSIGN_NATS_CA_FILE"
# X509_V_ERR_… of OpenSSL, https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
NOT_YET_VALID, EXPIRED = 9, 10
OTHER_NAME = (62, 64)  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH


def suppress_tls_shutdown_warning() -> None:
    """Filter a warning of asyncio (and uvloop) when nats-py closes a TLS connection.

    "returning true from eof_received() has no effect when using ssl". https://github.com/nats-io/nats.py/issues/574
    """
    logging.getLogger("asyncio").addFilter(_is_not_shutdown_warning)


def _is_not_shutdown_warning(record: logging.LogRecord) -> bool:
    return "eof_received()" not in str(record.msg)


def wants_tls(url: str) -> bool:
    """Return whether one of the addresses has `tls://`: then all connections use TLS."""
    return any(part.strip().startswith("tls://") for part in url.split(","))


def client_context(url: str, ca_file: Path | None) -> ssl.SSLContext | None:
    """Return the TLS context for `url`, with only the CAs in `ca_file` (PEM), or the system's; None: no TLS.

    Raises PermanentError when the file is not usable.
    """
    if not wants_tls(url):
        return None
    if ca_file is None:
        return ssl.create_default_context()
    try:
        context = ssl.create_default_context(cadata=ca_file.read_text())
    except OSError as error:  # ssl.SSLError is one, too
        why = "has no certificate in PEM" if isinstance(error, ssl.SSLError) else f"cannot be read ({error.strerror})"
        raise PermanentError(f"{SETTING}: {ca_file} {why}") from None
    except ValueError:  # of no text at all
        raise PermanentError(f"{SETTING}: {ca_file} has no certificate in PEM") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # an intermediate CA may stand there without its root
    return context


def describe_tls_error(error: Exception) -> str | None:
    """Return what is wrong with TLS and what to do; None for other errors."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error.verify_code)
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):  # cut off in the middle: it may pass
        return None
    return (
        f"the TLS handshake with NATS failed ({error.reason or 'no reason given'}): its `tls` block needs "
        "`handshake_first: true` and no `verify`"
    )


def _certificate(code: int) -> str:
    if code == EXPIRED:
        return "the certificate of NATS has expired: make a new one (countersign secrets init) and reload the server"
    if code == NOT_YET_VALID:
        return "the certificate of NATS is not valid yet: let both machines follow the same time server"
    if code in OTHER_NAME:
        return (
            "the certificate of NATS does not name the host in COUNTERSIGN_NATS_URL: use one of its names, or add this "
            "one (countersign secrets init --nats-host) and reload the server"
        )
    return f"the certificate of NATS is not signed by a trusted CA: set the file of its CA in {SETTING} (ca.crt)"
