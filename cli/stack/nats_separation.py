"""Separates a NATS configuration that contains generated settings and an administrator's own. Pure.

Earlier versions generated one file, in which hospitals and other settings were added by hand. What equals a generated
setting is removed, as an included file now contains it. Everything else stays as it was written, comments too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli.stack.nats_syntax import Setting, body_start, json_value, settings, without

ACCOUNTS_KEY = "accounts"
ACCOUNT_KEYS = {"jetstream", "users"}
USER_KEYS = {"nkey", "permissions"}


@dataclass(frozen=True, slots=True)
class Separated:
    """The administrator's part with its includes; empty if nothing is left. `notes` are sentences on what differed from
    the generated settings.
    """

    text: str
    notes: tuple[str, ...]


def separate(
    text: str, server: Mapping[str, object], accounts: Mapping[str, object], includes: tuple[str, str]
) -> Separated:
    """Return the administrator's part of `text`, with the two `includes` (server settings, accounts) at the start of
    the file and of its accounts. Their own settings come later, so they take precedence.

    `server` and `accounts` are what is generated now. A block of our account whose users have other permissions is one
    of an earlier version: it is replaced. Raises UnreadableConfigurationError.
    """
    found = settings(text)
    removed = [item for item in found if item.key in server and json_value(text, item) == server[item.key]]
    notes = [
        f"`{item.key}` differs from the generated setting and takes precedence over it."
        for item in found
        if item.key in server and item not in removed
    ]
    for setting in found:
        if setting.key == ACCOUNTS_KEY:
            for account, note in _generated_accounts(text, setting, accounts):
                if account is not None:
                    removed.append(account)
                if note:
                    notes.append(note)
    kept = without(text, removed)
    return Separated("" if _is_empty(kept) else _with_includes(kept, *includes), tuple(notes))


def _generated_accounts(
    text: str, block: Setting, accounts: Mapping[str, object]
) -> Iterator[tuple[Setting | None, str]]:
    """Yield the accounts of `block` that are generated (None for one that stays), each with a note or none."""
    ours = {key for account in accounts.values() for key in _user_keys(account)}
    for account in block.inner or ():
        made = json_value(text, account)
        if made in accounts.values():
            yield account, ""
        elif account.key not in accounts and not ours & set(_user_keys(made)):
            continue
        elif _is_earlier(made, accounts, ours):
            yield account, f"the permissions in account {account.key} were replaced by the generated ones."
        else:
            yield (
                None,
                f"account {account.key} was edited and takes precedence: new permissions do not reach it until its "
                "block is removed (its storage limit is set by --storage-gb).",
            )


def _is_earlier(made: Any, accounts: Mapping[str, object], ours: set[str]) -> bool:
    """Return whether an account is as an earlier version generated it: our users, with other permissions."""
    if not isinstance(made, dict) or not set(made) <= ACCOUNT_KEYS:
        return False
    limits = [account.get("jetstream") for account in accounts.values() if isinstance(account, dict)]
    users = made.get("users")
    return (
        made.get("jetstream") in limits
        and isinstance(users, list)
        and all(isinstance(user, dict) and set(user) <= USER_KEYS and user.get("nkey") in ours for user in users)
    )


def _user_keys(account: Any) -> list[str]:
    """Return the public keys of an account's users."""
    users = account.get("users") if isinstance(account, dict) else None
    return [user["nkey"] for user in users or () if isinstance(user, dict) and "nkey" in user]


def _is_empty(text: str) -> bool:
    """Return whether nothing is left but braces and an empty accounts map."""
    found = settings(text)
    rest = without(text, list(found))
    return not rest.strip("{} \t\r\n,;") and all(item.key == ACCOUNTS_KEY and item.inner == () for item in found)


def _with_includes(text: str, server: str, accounts: str) -> str:
    """Return the text with the includes; without an accounts map, it gets one before all of its settings."""
    blocks = [item for item in settings(text) if item.key == ACCOUNTS_KEY and item.inner is not None]
    for block in reversed(blocks):
        at = block.value + 1
        text = f'{text[:at]}\n  include "{accounts}"\n{text[at:]}'
    own = "" if blocks else f'accounts {{\n  include "{accounts}"\n}}\n'
    at = body_start(text)
    return f'{text[:at]}\ninclude "{server}"\n{own}{text[at:]}'.lstrip("\n")
