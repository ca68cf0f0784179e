"""The CA and the certificate of the NATS servers: whom they name, when they are renewed, and whose they are."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from cli.commands.secrets import nats_host_names
from cli.errors import CommandError
from cli.stack.certificates import (
    CA,
    CA_KEY,
    CERTIFICATE,
    KEY,
    LIFETIME,
    RENEW_BEFORE,
    ensure_certificates,
    make_authority,
    make_server,
    needs_renewal,
)

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def shown(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / CERTIFICATE).read_bytes())


@pytest.mark.parametrize(
    "name",
    ["nats", "nats-3", "nats-0.nats-headless", "nats-2.nats-headless.ward.svc.cluster.local", "nats.ward.svc"],
)
def test_it_is_good_for_each_server_by_the_rules_of_the_web(name: str) -> None:
    authority = make_authority(NOW)
    made = make_server(authority, nats_host_names("ward"), NOW)
    policy = PolicyBuilder().store(Store([authority.certificate]))
    policy.time(NOW).build_server_verifier(x509.DNSName(name)).verify(made.certificate, [])
    for wrong in (
        policy.time(NOW).build_server_verifier(x509.DNSName("nats.elsewhere")),
        policy.time(NOW + LIFETIME + DAY).build_server_verifier(x509.DNSName(name)),
    ):
        with pytest.raises(x509.verification.VerificationError):
            wrong.verify(made.certificate, [])


@pytest.mark.parametrize(
    ("after", "names", "wanted"),
    [
        (timedelta(), ["a", "127.0.0.1"], False),
        (LIFETIME - RENEW_BEFORE - DAY, ["a"], False),
        (LIFETIME - RENEW_BEFORE + DAY, ["a"], True),
        (LIFETIME + DAY, ["a"], True),
        (timedelta(), ["a", "b"], True),
    ],
)
def test_when_a_new_one_is_due(after: timedelta, names: list[str], wanted: bool) -> None:
    found = make_server(make_authority(NOW), ["a", "127.0.0.1"], NOW).certificate
    assert needs_renewal(found, names, NOW + after) is wanted


def test_a_certificate_ends_before_its_authority() -> None:
    authority = make_authority(NOW)
    late = authority.certificate.not_valid_after_utc - DAY
    assert make_server(authority, ["a"], late).certificate.not_valid_after_utc == late + DAY


def test_it_is_made_once_and_renewed_for_a_name_or_in_time(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, ["a"], NOW)
    first = contents(tmp_path)
    assert first.keys() == {CA, CA_KEY, CERTIFICATE, KEY}
    ensure_certificates(tmp_path, ["a"], NOW + DAY)
    assert contents(tmp_path) == first
    ensure_certificates(tmp_path, ["b"], NOW + DAY)
    more = contents(tmp_path)
    names = shown(tmp_path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a", "b"], "a name stays"
    ensure_certificates(tmp_path, ["a"], NOW + LIFETIME)
    last = contents(tmp_path)
    for name in (CERTIFICATE, KEY):
        assert len({found[name] for found in (first, more, last)}) == 3
    for name in (CA, CA_KEY):
        assert len({found[name] for found in (first, more, last)}) == 1
    assert shown(tmp_path).not_valid_after_utc == NOW + 2 * LIFETIME


def test_half_a_renewal_is_done_again(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, ["a"], NOW)
    first = shown(tmp_path)
    (tmp_path / "other").mkdir()
    ensure_certificates(tmp_path / "other", ["a"], NOW)
    (tmp_path / "other" / KEY).replace(tmp_path / KEY)  # killed between the two files
    ensure_certificates(tmp_path, ["a"], NOW)
    again = shown(tmp_path)
    assert again != first
    ensure_certificates(tmp_path, ["a"], NOW)
    assert shown(tmp_path) == again, "the two belong together"


def test_another_pki_is_never_overwritten(tmp_path: Path) -> None:
    theirs, kept = tmp_path / "theirs", tmp_path / "kept"
    for directory in (theirs, kept):
        directory.mkdir()
        ensure_certificates(directory, ["a"], NOW)
    late = NOW + 2 * LIFETIME
    for name in (CERTIFICATE, KEY):  # theirs in the place of ours, whose CA is still there
        (kept / name).write_bytes((theirs / name).read_bytes())
    before = contents(kept)
    ensure_certificates(kept, ["b"], late)
    assert contents(kept) == before
    (kept / CA).write_bytes((theirs / CA).read_bytes())  # their CA, too
    before = contents(kept)
    ensure_certificates(kept, ["b"], late)
    assert contents(kept) == before
    (kept / CA_KEY).unlink()  # or the CA's key in a safe
    ensure_certificates(kept, ["b"], late)
    assert contents(kept).keys() == {CA, CERTIFICATE, KEY}
    for name in (CERTIFICATE, KEY):  # the servers are somewhere else
        (kept / name).unlink()
    ensure_certificates(kept, ["b"], late)
    assert contents(kept).keys() == {CA}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / KEY).unlink(), "is not the key of"),
        (lambda d: (d / CERTIFICATE).unlink(), "is not the key of"),
        (lambda d: (d / KEY).write_text("x"), "not a private key in PEM"),
        (lambda d: (d / CERTIFICATE).write_text("x"), "not a certificate in PEM"),
        (lambda d: (d / CA).unlink(), f"{CA} is missing"),
    ],
)
def test_files_that_do_not_fit_together_are_named(tmp_path: Path, damage: object, words: str) -> None:
    ensure_certificates(tmp_path, ["a"], NOW)
    (tmp_path / CA_KEY).unlink()
    assert callable(damage)
    damage(tmp_path)
    with pytest.raises(CommandError, match=words):
        ensure_certificates(tmp_path, ["a"], NOW)


def test_a_name_is_a_name(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="without scheme and port"):
        ensure_certificates(tmp_path, ["tls://nats:4222"], NOW)
