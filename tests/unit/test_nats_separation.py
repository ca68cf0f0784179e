"""A NATS configuration of an earlier version: generated settings leave it, an administrator's own stay as written."""

import json
from typing import Any

import pytest

from cli.stack.nats_config import render
from cli.stack.nats_separation import Separated, separate
from cli.stack.nats_syntax import UnreadableConfigurationError, json_value, settings, text_of

INCLUDES = ("nats.generated.conf", "accounts.generated.conf")
SERVER: dict[str, Any] = {"server_name": "$POD_NAME", "port": 4222, "jetstream": {"store_dir": "/data", "key": "k"}}
ACCOUNTS: dict[str, Any] = {
    "COUNTERSIGN": {
        "jetstream": "enabled",
        "users": [
            {"nkey": "UA", "permissions": {"publish": {"allow": ["a.>", "$JS.ACK.x.>"]}, "subscribe": {"allow": []}}},
            {"nkey": "UB"},
        ],
    },
    "SYS": {"users": [{"nkey": "US"}]},
}
BEFORE = render(SERVER | {"accounts": ACCOUNTS})


def values(text: str) -> dict[str, Any]:
    return {item.key: text_of(text, item) for item in settings(text) if item.inner is None}


def accounts(text: str) -> list[str]:
    (block,) = [item for item in settings(text) if item.key == "accounts"]
    return [text_of(text, item) if item.key == "include" else item.key for item in block.inner or ()]


def test_a_file_that_nobody_edited_leaves_nothing() -> None:
    assert separate(BEFORE, SERVER, ACCOUNTS, INCLUDES) == Separated("", ())


def test_what_was_added_stays_as_it_was_written() -> None:
    own = '# ward 7\n "MONITOR": {users: [{user: "m}", password: \'p#,\'}]},'
    text = BEFORE.replace('"accounts": {', f'"accounts": {{ include "hospital-b.conf"\n {own}')
    text = text.replace('"port": 4222', '"port": 4222,\n max_connections = 500 # ours\n leafnodes { port: 7422 }')
    made = separate(text, SERVER, ACCOUNTS, INCLUDES)
    assert made.notes == ()
    assert own in made.text
    assert " max_connections = 500 # ours\n leafnodes { port: 7422 }" in made.text
    assert values(made.text) == {"include": INCLUDES[0], "max_connections": "500"}
    assert accounts(made.text) == [INCLUDES[1], "hospital-b.conf", "MONITOR"]


def test_a_changed_setting_stays_and_is_named() -> None:
    made = separate(BEFORE.replace("4222", "4333"), SERVER, ACCOUNTS, INCLUDES)
    assert values(made.text)["port"] == "4333"
    assert [item.key for item in settings(made.text)] == ["include", "port", "accounts"], "theirs is later"
    assert len(made.notes) == 1
    assert "`port`" in made.notes[0]


def test_permissions_of_an_earlier_version_are_replaced() -> None:
    earlier = BEFORE.replace('"a.>",', "")
    made = separate(earlier, SERVER, ACCOUNTS, INCLUDES)
    assert made.text == ""
    assert "permissions in account COUNTERSIGN" in made.notes[0]
    edited = separate(earlier.replace('"SYS": {', '"MONITOR": {}, "SYS": {'), SERVER, ACCOUNTS, INCLUDES)
    assert accounts(edited.text) == [INCLUDES[1], "MONITOR"]
    assert edited.notes == made.notes


@pytest.mark.parametrize(
    ("was", "changed"),
    [
        ('"jetstream": "enabled"', '"jetstream": {"max_file": 5}'),
        ('"nkey": "UB"', '"nkey": "UX"'),
        ('"users": [', '"exports": [], "users": ['),
        ('"users": [', '"users": [ # of ours'),
    ],
)
def test_an_account_that_was_edited_stays_and_is_named(was: str, changed: str) -> None:
    made = separate(BEFORE.replace(was, changed, 1), SERVER, ACCOUNTS, INCLUDES)
    assert accounts(made.text) == [INCLUDES[1], "COUNTERSIGN"]
    assert changed in made.text
    assert "COUNTERSIGN was edited" in made.notes[0]


def test_accounts_that_are_elsewhere_get_the_generated_ones_before_them() -> None:
    text = render(SERVER) + '\ninclude "accounts.conf"\n'
    made = separate(text, SERVER, ACCOUNTS, INCLUDES)
    assert [item.key for item in settings(made.text)] == ["include", "accounts", "include"]


def test_settings_are_found_in_every_notation_of_nats() -> None:
    text = """
    # a comment { with "signs
    listen: 127.0.0.1:4222 // and another }
    'a b' = "x\\"}" ; debug off
    routes = [ nats://a:1 # one
      "nats://b:2", ]
    accounts {
      A { users = [{user: 'a{', permissions { publish: [">"] } } ]}
      INCLUDE 'b.conf'
      include c.conf; B: {}
    }
    name: $HOST
    """
    found = settings(text)
    assert [item.key for item in found] == ["listen", "a b", "debug", "routes", "accounts", "name"]
    assert values(text)["listen"] == "127.0.0.1:4222"
    assert accounts(text) == ["A", "b.conf", "c.conf", "B"]
    assert json_value(text, found[-1]) == "$HOST"
    assert json_value(text, found[3]) is None


@pytest.mark.parametrize("text", ["a {", "a: [1, 2", 'a: "b', "a: (\n x\n)", "a:\n1", "a"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(UnreadableConfigurationError):
        separate(text, SERVER, ACCOUNTS, INCLUDES)


def test_variables_are_compared_and_not_those_in_strings() -> None:
    text = '{"a": $B, "c": ["$JS.ACK"]}'
    assert [json_value(text, item) for item in settings(text)] == ["$B", ["$JS.ACK"]]
    assert json.loads(json.dumps(SERVER))["server_name"] == json_value(BEFORE, settings(BEFORE)[0])
