"""Assertions that state a certificate's thumbprint, as Entra ID asks for them."""

import base64
import hashlib
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import RSAKey

from shared.contracts.errors import PermanentError
from shared.oauth.client_authentication import PrivateKeyJwt
from shared.oauth.client_certificate import parse_certificate
from shared.oauth.client_keys import dump_keys, generate_key
from shared.oauth.errors import TokenRefusedError
from shared.runtime.oidc import OidcSettings
from tests.support.client_certificates import PrivateKey, pem_of, rsa_key, self_signed, write_pair

NOW = 1_800_000_000
TOKEN_URL = "https://login.example/tenant/oauth2/v2.0/token"
KEY = rsa_key()


async def assertion(files: dict[str, Path], *accepted: str) -> str:
    settings = OidcSettings(issuer="https://login.example", client_id="countersign", **files)  # type: ignore[arg-type]
    authentication = settings.authentication(lambda: "id-1")
    assert isinstance(authentication, PrivateKeyJwt)
    return (await authentication.credentials(TOKEN_URL, accepted, NOW)).form["client_assertion"]


def thumbprint(pem: bytes, algorithm: str) -> str:
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    return base64.urlsafe_b64encode(hashlib.new(algorithm, der).digest()).rstrip(b"=").decode()


@pytest.mark.parametrize(("accepted", "algorithm"), [((), "PS256"), (("RS256", "ES256"), "RS256")])
async def test_the_header_names_the_certificate_and_no_key_id(
    tmp_path: Path, accepted: tuple[str, ...], algorithm: str
) -> None:
    files = write_pair(tmp_path, KEY)
    public = RSAKey.import_key(pem_of(KEY))
    token = jwt.decode(await assertion(files, *accepted), public, algorithms=[algorithm])
    pem = files["client_certificate_file"].read_bytes()
    thumbprints = {"x5t#S256": thumbprint(pem, "sha256"), "x5t": thumbprint(pem, "sha1")}
    assert token.header == {"alg": algorithm, "typ": "JWT"} | thumbprints
    claims = {"iss": "countersign", "sub": "countersign", "aud": TOKEN_URL, "jti": "id-1"}
    assert token.claims == claims | {"iat": NOW, "exp": NOW + 240}


@pytest.mark.parametrize(
    ("curve", "algorithm"), [(ec.SECP256R1(), "ES256"), (ec.SECP384R1(), "ES384"), (ec.SECP521R1(), None)]
)
async def test_other_keys_sign_where_a_server_takes_them(tmp_path: Path, curve: Any, algorithm: str | None) -> None:
    key: PrivateKey = ec.generate_private_key(curve)
    found = parse_certificate(self_signed(key), pem_of(key).decode())
    assert found.algorithm(()) == algorithm
    with pytest.raises(TokenRefusedError, match="none of the signing algorithms") as refused:
        await assertion(write_pair(tmp_path, key), "PS256")
    assert refused.value.code == "algorithm"


async def test_a_pair_that_is_replaced_is_used_at_once(tmp_path: Path) -> None:
    files = write_pair(tmp_path, KEY)
    await assertion(files)
    other = rsa_key()
    write_pair(tmp_path, other)
    jwt.decode(await assertion(files), RSAKey.import_key(pem_of(other)), algorithms=["PS256"])


def test_the_key_may_be_in_a_key_set(tmp_path: Path) -> None:
    made = generate_key("RS384", 0)
    key: PrivateKey = made.private_key  # type: ignore[assignment]
    found = parse_certificate(self_signed(key), dump_keys([generate_key("ES384", 0), made]))
    assert found.key.thumbprint() == made.thumbprint()


@pytest.mark.parametrize(
    ("certificate", "keys", "reason"),
    [
        (b"", pem_of(KEY).decode(), "not a PEM certificate"),
        (self_signed(KEY), "", "neither a PEM private key nor a JWK Set"),
        (self_signed(KEY), "[]", "neither a PEM private key nor a JWK Set"),
        (self_signed(KEY), "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "neither a PEM"),
        (self_signed(KEY), pem_of(rsa_key()).decode(), "none of our client's private keys"),
        (self_signed(KEY), '{"keys": []}', "neither a PEM private key nor a JWK Set|none of our client"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(certificate: bytes, keys: str, reason: str) -> None:
    with pytest.raises(PermanentError, match=reason):
        parse_certificate(certificate, keys)


async def test_errors_name_the_setting_and_no_content(tmp_path: Path) -> None:
    files = write_pair(tmp_path, KEY)
    files["client_certificate_file"].unlink()
    with pytest.raises(TokenRefusedError, match="cannot be read") as refused:
        await assertion(files)
    assert "COUNTERSIGN_OIDC_CLIENT_KEY_FILE" in refused.value.fix


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="COUNTERSIGN_OIDC_CLIENT_KEY_FILE"):
        OidcSettings(client_certificate_file=tmp_path / "client.crt")
