"""How a service is told of its EHR."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.clinical.authorization import StaticToken, TokenFile
from shared.runtime.settings import EhrSettings


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
