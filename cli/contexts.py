"""Contexts: installations that commands reach by HTTP. Kept in `contexts.toml`, tokens in files of their own.

Imports little: every command asks whether a context is active.
"""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from cli.errors import CommandError
from cli.stack.access import write_private

CONTEXT, URL, TOKEN_FILE = "COUNTERSIGN_CONTEXT", "COUNTERSIGN_URL", "COUNTERSIGN_TOKEN_FILE"
INGEST_URL, EVALUATOR_URL, CA_FILE = "COUNTERSIGN_INGEST_URL", "COUNTERSIGN_EVALUATOR_URL", "COUNTERSIGN_API_CA_FILE"
VARIABLES = (CONTEXT, URL, TOKEN_FILE, INGEST_URL, EVALUATOR_URL, CA_FILE)
SIGN_IN = "sign-in"  # value of `authentication` in the file
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OF_INGEST = ("/v1/encounters", "/v1/knowledge/refreshes", "/v1/knowledge/documents")
OF_EVALUATOR = ("/v1/knowledge", "/v1/drafters", "/v1/evaluation-sets", "/v1/models")

_option: ContextVar[str | None] = ContextVar("context", default=None)  # of --context


@dataclass(frozen=True, slots=True)
class ApiContext:
    """An installation: its addresses, and the file with the bearer token of whoever runs the commands.

    `url` is that of approval. The other services default to it, for installations with one address for all.
    `token_file` is None where they sign in (`countersign login`); the tokens are in `cli/sign_in/stored.py`.
    `ca_file`: certificates of the authority that signed the server's, PEM; None: those of this machine.
    """

    name: str
    url: str
    token_file: Path | None
    ingest_url: str = ""
    evaluator_url: str = ""
    ca_file: Path | None = None

    def base_of(self, path: str) -> str:
        """Return the address of the service that serves `path`."""
        if path.startswith(OF_INGEST):
            return self.ingest_url or self.url
        if path.startswith(OF_EVALUATOR):
            return self.evaluator_url or self.url
        return self.url

    def read_token(self) -> str:
        """Return the token of the token file. Raises CommandError where there is none that can be sent."""
        if self.token_file is None:
            raise CommandError(f"{self.name} has no token file. Run: countersign login --context {self.name}")
        try:
            token = self.token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            raise CommandError(f"The token file {self.token_file} cannot be read ({reason}).") from None
        return check_token(token, f"The token file {self.token_file}")


@dataclass(frozen=True, slots=True)
class Contexts:
    """The content of `contexts.toml`; `current` is used where a command names no other."""

    current: str | None = None
    items: Mapping[str, ApiContext] = field(default_factory=dict)

    def get(self, name: str) -> ApiContext:
        """Return a context. Raises CommandError when there is none of that name."""
        if name not in self.items:
            known = f" There are: {', '.join(sorted(self.items))}." if self.items else ""
            raise CommandError(f"There is no context {name!r}.{known} Add it with: countersign context add")
        return self.items[name]

    def with_context(self, made: ApiContext) -> "Contexts":
        return replace(self, items={**self.items, made.name: made})

    def without(self, name: str) -> "Contexts":
        current = None if self.current == name else self.current
        return Contexts(current, {key: item for key, item in self.items.items() if key != name})


def choose_context(name: str | None) -> None:
    """Set the context of this command, as `--context` names it."""
    _option.set(name)


def active_context(data_dir: Path | None = None) -> ApiContext | None:
    """Return the context to work on; None: the stack on a data directory.

    The first that is set counts: --data-dir, --context, COUNTERSIGN_CONTEXT, COUNTERSIGN_URL, the current context.
    COUNTERSIGN_TOKEN_FILE takes the place of the context's token file. Raises CommandError.
    """
    option, environment = _option.get(), os.environ
    if data_dir is not None:
        if option is not None:
            raise CommandError("Name a context with --context or a stack with --data-dir, not both.")
        return None
    token_file = environment.get(TOKEN_FILE)
    if name := option or environment.get(CONTEXT):
        found = read_contexts().get(name)
    elif environment.get(URL):
        return _of_environment(environment)
    else:
        contexts = read_contexts()
        if contexts.current is None:
            return None
        found = contexts.get(contexts.current)
    return replace(found, token_file=Path(token_file)) if token_file else found


def stored_context(name: str | None) -> ApiContext:
    """Return a context of `contexts.toml`: `name`, else --context, COUNTERSIGN_CONTEXT or the current one.

    Raises CommandError.
    """
    contexts = read_contexts()
    chosen = name or _option.get() or os.environ.get(CONTEXT) or contexts.current
    if chosen is None:
        raise CommandError("Name a context with --context, or an installation with --url.")
    return contexts.get(chosen)


def ensure_no_context(data_dir: Path | None) -> None:
    """Raise CommandError where a context is active, for commands that HTTP cannot do: they must not do it elsewhere."""
    if (found := active_context(data_dir)) is not None:
        raise CommandError(
            f"This command does not work by HTTP, and the context {found.name} is active. Run it where NATS can be "
            "reached (COUNTERSIGN_NATS_URL and its key), or name an embedded stack with --data-dir."
        )


def _of_environment(environment: Mapping[str, str]) -> ApiContext:
    if not environment.get(TOKEN_FILE):
        raise CommandError(f"Set {TOKEN_FILE} to the file with the bearer token for {URL}.")
    ca_file = environment.get(CA_FILE)
    return ApiContext(
        f"of {URL}",
        check_url(environment[URL], URL),
        Path(environment[TOKEN_FILE]),
        check_url(environment.get(INGEST_URL, ""), INGEST_URL, optional=True),
        check_url(environment.get(EVALUATOR_URL, ""), EVALUATOR_URL, optional=True),
        Path(ca_file) if ca_file else None,
    )


def config_dir() -> Path:
    """Return our folder in the user's configuration (XDG Base Directory Specification: relative paths do not count)."""
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    try:
        return (base if base.is_absolute() else Path.home() / ".config") / "countersign"
    except RuntimeError:
        raise CommandError("This user has no home directory: set XDG_CONFIG_HOME.") from None


def contexts_file() -> Path:
    return config_dir() / "contexts.toml"


def stored_token_file(name: str) -> Path:
    """Return where the token of a context is kept if no file of the user's is named."""
    return config_dir() / "tokens" / name


def forget_token(name: str) -> None:
    """Delete the token of a context if it was stored here. Raises CommandError."""
    file = stored_token_file(name)
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"{file} cannot be removed ({error.strerror}).") from None


def read_contexts() -> Contexts:
    """Return the stored contexts; none where there is no file. Raises CommandError for a file that cannot be used."""
    path = contexts_file()
    try:
        text = path.read_text()
    except FileNotFoundError:
        return Contexts()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'}).") from None
    try:
        content = tomllib.loads(text)
        items = {name: _context(name, fields) for name, fields in content.get("contexts", {}).items()}
        current = content.get("current")
        return Contexts(None if current is None else str(current), items)
    except CommandError as error:
        raise CommandError(f"{path} is not valid: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CommandError(f"{path} is not valid ({type(error).__name__}).") from None


def _context(name: str, fields: Mapping[str, str]) -> ApiContext:
    ca_file = fields.get("ca_file")
    return ApiContext(
        name=name,
        url=check_url(fields["url"], "url"),
        token_file=None if fields.get("authentication") == SIGN_IN else Path(fields["token_file"]),
        ingest_url=check_url(fields.get("ingest_url", ""), "ingest_url", optional=True),
        evaluator_url=check_url(fields.get("evaluator_url", ""), "evaluator_url", optional=True),
        ca_file=Path(ca_file) if ca_file else None,
    )


def write_contexts(contexts: Contexts) -> None:
    """Store the contexts. Raises CommandError when the folder cannot be written."""
    lines = [] if contexts.current is None else [f"current = {_quoted(contexts.current)}", ""]
    for name, item in sorted(contexts.items.items()):
        values = {
            "url": item.url,
            "ingest_url": item.ingest_url,
            "evaluator_url": item.evaluator_url,
            "token_file": str(item.token_file or ""),
            "authentication": "" if item.token_file is not None else SIGN_IN,
            "ca_file": str(item.ca_file or ""),
        }
        lines.append(f"[contexts.{_quoted(name)}]")
        lines += [f"{key} = {_quoted(value)}" for key, value in values.items() if value]
        lines.append("")
    write_file(contexts_file(), "\n".join(lines).rstrip())


def _quoted(value: str) -> str:
    """Return a TOML basic string. JSON's escapes are TOML's too, but for DEL, which JSON leaves as it is."""
    return json.dumps(value).replace("\x7f", "\\u007f")


def write_file(path: Path, text: str) -> None:
    """Write a file that only its owner can read, and its folder. Raises CommandError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, text)
    except OSError as error:
        raise CommandError(f"{path} cannot be written ({error.strerror}).") from None


def check_name(name: str) -> str:
    """Return the name of a context. Raises CommandError unless it can be the name of a file."""
    if NAME.fullmatch(name) is None:
        raise CommandError("A name has letters, digits, dots, dashes and underscores; 64 at most.")
    return name


def check_url(value: str, name: str, *, optional: bool = False) -> str:
    """Return a URL without its last slash. Raises CommandError unless it is an http or https address."""
    if not value and optional:
        return ""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except (ValueError, AttributeError):
        valid = False
    if not valid or not value.isascii() or not value.isprintable() or " " in value or parts.username or parts.query:
        raise CommandError(f"{name}: {value!r} is not an address such as https://countersign.example.org.")
    return value.rstrip("/")


def check_token(token: str, where: str) -> str:
    """Return a token that fits into a header. Raises CommandError, without the token."""
    if not token:
        raise CommandError(f"{where} is empty.")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise CommandError(f"{where} holds no bearer token: it has spaces, line breaks or characters outside ASCII.")
    return token
