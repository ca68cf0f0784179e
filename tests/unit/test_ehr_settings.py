"""How a service is told of its EHR."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from shared.clinical.authorization import StaticToken, TokenFile
from shared.clinical.smart.token_source import BackendToken
from shared.runtime.settings import EhrSettings
from shared.runtime.start import describe_settings_error


async def test_a_token_may_stand_in_a_file_which_goes_before_the_fixed_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("of the file\n".replace(" ", "-"))
    assert EhrSettings().authorization is None
    monkeypatch.setenv("COUNTERSIGN_EHR_TOKEN", "fixed")
    fixed = EhrSettings().authorization
    assert isinstance(fixed, StaticToken)
    assert await fixed.value() == "Bearer fixed"
    monkeypatch.setenv("COUNTERSIGN_EHR_TOKEN_FILE", str(tmp_path / "token"))
    of_file = EhrSettings().authorization
    assert isinstance(of_file, TokenFile)
    assert await of_file.value() == "Bearer of-the-file"


def test_hosts_of_pages_are_named_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EhrSettings().page_hosts == ()
    monkeypatch.setenv("COUNTERSIGN_EHR_PAGE_HOSTS", "pages.example, more.example:8443,")
    assert EhrSettings().page_hosts == ("pages.example", "more.example:8443")


async def test_what_a_person_waits_for_has_a_client_of_its_own() -> None:
    settings = EhrSettings(token=SecretStr("secret"), connections=1)
    background, interactive = settings.connect(), settings.connect_interactive()
    assert background is not interactive
    assert background.bases == interactive.bases
    await background.close()
    await interactive.close()


def test_a_client_of_the_ehr_has_one_token_source_for_all_its_clients(tmp_path: Path) -> None:
    settings = EhrSettings(client_id="us", client_key_file=tmp_path / "keys")
    assert isinstance(settings.authorization, BackendToken)
    assert settings.authorization is settings.authorization
    other = EhrSettings(client_id="us", client_secret=SecretStr("s"))
    assert other.authorization is not settings.authorization, "another hospital has another token"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "set one of COUNTERSIGN_EHR_CLIENT_KEY_FILE"),
        ({"client_secret": "hidden", "client_key_file": "/keys"}, "set one of COUNTERSIGN_EHR_CLIENT_KEY_FILE"),
        ({"client_secret": "hidden", "client_secret_file": "/s"}, "set one of COUNTERSIGN_EHR_CLIENT_KEY_FILE"),
        ({"client_secret": "hidden", "token": "hidden"}, "not both"),
        ({"client_key_file": "/keys", "token_file": "/t"}, "not both"),
        ({"client_secret": "hidden", "client_secret_method": "none"}, "client_secret_basic"),
    ],
)
def test_a_client_without_exactly_one_credential_is_refused(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], says: str
) -> None:
    for name, value in {"client_id": "us", **values}.items():
        monkeypatch.setenv(f"COUNTERSIGN_EHR_{name.upper()}", value)
    with pytest.raises(ValidationError) as refused:
        EhrSettings()
    told = describe_settings_error(refused.value)
    assert says in told
    assert "hidden" not in told


def test_a_key_file_without_a_client_changes_nothing(tmp_path: Path) -> None:
    """Compose and Kubernetes always mount the key; a client id decides whether it is used."""
    settings = EhrSettings(client_key_file=tmp_path / "keys", token=SecretStr("fixed"))
    assert isinstance(settings.authorization, StaticToken)
