"""The master key of cases' keys, as a setting."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.contracts.errors import PermanentError
from shared.runtime.settings import ServiceSettings


def settings(file: Path | None) -> ServiceSettings:
    return ServiceSettings(nats_seed=SecretStr("x"), master_key_file=file)


def test_it_is_32_bytes_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    assert settings(None).master_keys == ()
    file.write_text(base64.b64encode(b"k" * 32).decode() + "\n")
    assert settings(file).master_keys == (b"k" * 32,)
    file.write_text("".join(base64.b64encode(key * 32).decode() + "\n" for key in (b"n", b"k")))
    assert settings(file).master_keys == (b"n" * 32, b"k" * 32)
    for wrong in (
        "",
        "secret",
        base64.b64encode(b"k" * 16).decode(),
        base64.b64encode(b"k" * 32).decode() + "\nsecret",
    ):
        file.write_text(wrong)
        with pytest.raises(PermanentError, match="32 bytes") as refused:
            _ = settings(file).master_keys
        assert "secret" not in refused.value.reason
