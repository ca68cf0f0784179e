"""`countersign login`, `logout` and `context` with sign-ins: what they say, and what they leave behind."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cli import contexts
from cli.contexts import ApiContext
from cli.sign_in.stored import sign_in_file, write_sign_in
from tests.support.serving import run_command
from tests.unit.test_sign_in import FOUND, PROD, URL, home

__all__ = ["home"]  # a fixture


def test_contexts_say_how_they_are_authenticated() -> None:
    contexts.write_contexts(contexts.Contexts("prod", {"prod": PROD, "old": ApiContext("old", URL, Path("/t"))}))
    assert contexts.read_contexts().get("prod") == PROD
    out = run_command("context", "list").out
    assert "signed out" in out
    assert "/t" in out
    write_sign_in(PROD, replace(FOUND, name="Kim Ops"))
    done = run_command("context", "list", "--json")
    assert "t1" not in done.out.split('"')
    old, prod = json.loads(done.out)
    assert (old["authentication"], old["token_file"]) == ("token file", "/t")
    assert (prod["authentication"], prod["token_file"], prod["person"]) == ("signed in", None, "Kim Ops")
    assert prod["expires_at"] == "1970-01-12T13:51:40+00:00"
    removed = run_command("context", "remove", "prod")
    assert (removed.code, "not revoked" in removed.err) == (0, True)
    assert not sign_in_file("prod").exists()


def test_another_token_for_a_context_ends_its_sign_in(tmp_path: Path) -> None:
    contexts.write_contexts(contexts.Contexts(None, {"prod": PROD}))
    write_sign_in(PROD, FOUND)
    assert run_command("context", "add", "prod", "--url", URL, stdin="secret").code == 0
    assert not sign_in_file("prod").exists()
    assert contexts.read_contexts().get("prod").read_token() == "secret"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("login",), "--url"),
        (("login", "--context", "nobody"), "no context 'nobody'"),
        (("login", "--url", URL, "--context", "prod"), "not both"),
        (("login", "--name", "x"), "belong to --url"),
        (("login", "--url", "x"), "--url"),
        (("login", "--url", URL, "--name", "../x"), "letters"),
        (("login", "--url", "http://countersign.example"), "not an https address"),
        (("logout",), "--url"),
        (("logout", "--context", "old"), "uses the token file"),
        (("logout", "--context", "prod"), "not signed in"),
        (("--context", "prod", "logout"), "not signed in"),
        (("--context", "prod", "cases", "list"), "You are not signed in to prod"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(words: tuple[str, ...], said: str) -> None:
    contexts.write_contexts(contexts.Contexts(None, {"prod": PROD, "old": ApiContext("old", URL, Path("/t"))}))
    done = run_command(*words)
    assert (done.code, done.out, said in done.err) == (2, "", True), done


def test_tokens_that_cannot_be_revoked_are_deleted_all_the_same() -> None:
    contexts.write_contexts(contexts.Contexts("prod", {"prod": PROD}))
    write_sign_in(PROD, replace(FOUND, revocation_endpoint="http://127.0.0.1:9/revoke"))
    done = run_command("logout")
    assert (done.code, done.out, "has not revoked them" in done.err) == (1, "", True), done
    assert not sign_in_file("prod").exists()
    write_sign_in(PROD, FOUND)
    done = run_command("logout", "--json")
    assert json.loads(done.out) == {"context": "prod", "revoked": False}
