"""Contexts: which installation a command works on, what is stored where, and clear errors for everything else."""

import json
import stat
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import FastAPI, Header

from cli import contexts
from cli.contexts import active_context, choose_context, read_contexts
from cli.errors import CommandError
from tests.support.server import certified
from tests.support.serving import CommandResult, run_beside, run_command, served

URL = "https://countersign.hospital.example"
TOKEN = "secret-token\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in (*contexts.VARIABLES, "COUNTERSIGN_NATS_URL"):
        monkeypatch.delenv(name, raising=False)
    choose_context(None)
    return tmp_path / "config" / "countersign"


def add(name: str, *more: str, url: str = URL, stdin: str = TOKEN) -> CommandResult:
    return run_command("context", "add", name, "--url", url, *more, stdin=stdin)


def test_a_token_is_stored_where_only_its_owner_can_read_it(home: Path) -> None:
    done = add("prod")
    assert (done.code, done.err) == (0, ""), done
    token = home / "tokens" / "prod"
    assert (token.read_text(), stat.S_IMODE(token.stat().st_mode)) == ("secret-token\n", 0o600)
    assert stat.S_IMODE((home / "contexts.toml").stat().st_mode) == 0o600
    assert stat.S_IMODE(token.parent.stat().st_mode) == 0o700
    shown = run_command("context", "list").out + run_command("context", "list", "--json").out
    assert "prod" in shown
    assert "secret-token" not in (home / "contexts.toml").read_text() + shown + done.out


def test_a_token_file_of_ones_own_stays_where_it_is(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("mine\n")
    assert add("prod").code == 0
    assert (home / "tokens" / "prod").exists()
    assert add("prod", "--token-file", str(file)).code == 0
    assert not (home / "tokens" / "prod").exists(), "nobody uses it any more"
    assert read_contexts().get("prod").read_token() == "mine"
    assert run_command("context", "remove", "prod").code == 0
    assert file.exists()
    assert read_contexts().items == {}
    add("prod")
    run_command("context", "remove", "prod")
    assert list((home / "tokens").iterdir()) == []


def test_what_is_stored_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / 'a "token" \\ of üs'
    file.write_text("mine")
    more = ("--ingest-url", "http://127.0.0.1:8081/", "--evaluator-url", f"{URL}:8443")
    assert add("a.b-c_d", "--token-file", str(file), "--ca-file", str(file), *more).code == 0
    assert add("other").code == 0
    found = read_contexts().get("a.b-c_d")
    assert (found.url, found.token_file, found.ca_file) == (URL, file, file)
    assert found.base_of("/v1/cases") == URL
    assert found.base_of("/v1/knowledge/refreshes/r1") == "http://127.0.0.1:8081"
    assert found.base_of("/v1/knowledge/search") == f"{URL}:8443"
    assert found.base_of("/v1/evaluation-sets/icu@2") == f"{URL}:8443"
    assert read_contexts().get("other").base_of("/v1/knowledge") == URL


def test_the_context_that_is_named_most_directly_counts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("current", "environment", "option"):
        add(name, url=f"{URL}/{name}")
    assert active_context() is None
    assert run_command("context", "use", "current").code == 0
    assert active_name() == "current"
    monkeypatch.setenv("COUNTERSIGN_URL", f"{URL}/url")
    monkeypatch.setenv("COUNTERSIGN_TOKEN_FILE", str(home / "tokens" / "option"))
    found = active_context()
    assert found is not None
    assert (found.url, found.read_token()) == (f"{URL}/url", "secret-token")
    monkeypatch.setenv("COUNTERSIGN_CONTEXT", "environment")
    assert active_name() == "environment"
    choose_context("option")
    assert active_name() == "option"
    with pytest.raises(CommandError, match="not both"):
        active_context(tmp_path)
    choose_context(None)
    assert active_context(tmp_path) is None


def active_name() -> str | None:
    found = active_context()
    return found.name if found is not None else None


def test_no_context_is_current_after_it_was_removed_or_unset() -> None:
    add("prod")
    run_command("context", "use", "prod")
    assert active_name() == "prod"
    assert run_command("context", "use", "--none").code == 0
    assert active_name() is None
    run_command("context", "use", "prod")
    run_command("context", "remove", "prod")
    assert active_name() is None


def test_a_token_is_not_sent_unencrypted_without_a_warning() -> None:
    assert "not encrypted" in add("a", url="http://approval:8080").err
    assert add("b", url="http://127.0.0.1:8080").err == ""
    assert add("c").err == ""


INVALID = [
    (("context", "add", "../x", "--url", URL), "letters"),
    (("context", "add", "x", "--url", "ftp://x"), "--url"),
    (("context", "add", "x", "--url", "https://"), "--url"),
    (("context", "add", "x", "--url", "https://[::1"), "--url"),
    (("context", "add", "x", "--url", "https://a:99999"), "--url"),
    (("context", "add", "x", "--url", "https://user:pass@a"), "--url"),
    (("context", "add", "x", "--url", "https://ä"), "--url"),
    (("context", "add", "x", "--url", URL, "--ingest-url", "x"), "--ingest-url"),
    (("context", "add", "x", "--url", URL, "--token-file", "/nowhere"), "cannot be read"),
    (("context", "add", "x", "--url", URL), "The token is empty"),
    (("context", "use", "nobody"), "no context 'nobody'"),
    (("context", "use"), "--none"),
    (("context", "remove", "nobody"), "no context 'nobody'"),
    (("--context", "nobody", "cases", "list"), "no context 'nobody'"),
    (("--context", "nobody", "dead-letters", "list"), "no context 'nobody'"),
    (("dead-letters", "list", "--since", "yesterday"), "--since"),
    (("dead-letters", "list", "--since", "999999d"), "--since"),
]


@pytest.mark.parametrize(("words", "message"), INVALID)
def test_what_makes_no_sense_is_one_sentence(words: tuple[str, ...], message: str) -> None:
    done = run_command(*words)
    assert (done.code, done.out) == (2, ""), done
    assert message in done.err
    assert len(done.err.splitlines()) == 1


BROKEN = ["[", "contexts = 3", "[contexts.x]\n", '[contexts.x]\nurl = 7\ntoken_file = "t"', "\0"]


@pytest.mark.parametrize("text", BROKEN)
def test_a_file_that_is_not_valid_is_named(home: Path, text: str) -> None:
    home.mkdir(parents=True)
    (home / "contexts.toml").write_text(text)
    done = run_command("cases", "list")
    assert (done.code, "contexts.toml is not valid" in done.err) == (2, True), done


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", "schlüssel".encode()])
def test_a_token_that_cannot_be_sent_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    done = run_command("context", "add", "x", "--url", URL, "--token-file", str(file))
    assert (done.code, "token" in done.err) == (2, True)
    assert "two words" not in done.err


async def test_a_server_is_trusted_by_its_own_authority_alone(tmp_path: Path) -> None:
    app = FastAPI()

    @app.get("/v1/cases")
    async def cases(authorization: Annotated[str, Header()]) -> dict[str, list[str]]:
        assert authorization == f"Bearer {TOKEN.strip()}"
        return {"items": [], "unreadable": []}

    tls = certified(tmp_path)
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no certificate")
    async with served(app, tls) as url:
        for name, more in (("own", ("--ca-file", str(tls.ca))), ("system", ()), ("none", ("--ca-file", str(nothing)))):
            assert add(name, *more, url=url).code == 0
        done = await run_beside("--context", "own", "cases", "list", "--json")
        assert (done.code, json.loads(done.out)["items"]) == (0, []), done
        assert "does not answer" in (await run_beside("--context", "system", "cases", "list")).err
        assert "no certificates that can be used" in (await run_beside("--context", "none", "cases", "list")).err


def test_an_address_of_the_environment_needs_a_token_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_URL", URL)
    done = run_command("cases", "list")
    assert (done.code, "Set COUNTERSIGN_TOKEN_FILE" in done.err) == (2, True)


def test_an_installation_that_does_not_answer_is_named() -> None:
    add("prod", url="http://127.0.0.1:9")
    for words in (("cases", "list"), ("dead-letters", "list"), ("audit", "verify"), ("knowledge", "status")):
        done = run_command("--context", "prod", *words)
        assert (done.code, done.out) == (2, "")
        assert "prod (http://127.0.0.1:9) does not answer" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("backup", "--into", "x"),
        ("cases", "reimport"),
        ("ehr", "subscribe", "--endpoint", "https://x.example"),
        ("document-kinds", "classify", "enc-1"),
    ],
)
def test_a_command_that_needs_nats_works_on_no_other_stack(words: tuple[str, ...]) -> None:
    add("prod")
    done = run_command("--context", "prod", *words)
    assert (done.code, "does not work by HTTP" in done.err) == (2, True), done


def test_a_name_that_the_api_would_not_record_is_refused() -> None:
    add("prod")
    for words in (
        ("cases", "retry", "c1"),
        ("dead-letters", "discard", "1", "--reason", "w"),
        ("ehr-decisions", "hold", "--reason", "w"),
    ):
        done = run_command("--context", "prod", *words, "--by", "somebody")
        assert (done.code, "leave out --by" in done.err) == (2, True), done
