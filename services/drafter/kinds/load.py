"""Load kinds of documents from folders: `<name>/kind.toml`, and prompts beside it.

Shipped kinds are in `shipped/`; a hospital's folder adds to them, or replaces one by name.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.drafter import prompts
from services.drafter.kinds.declaration import Declaration, Name
from services.drafter.kinds.kind import DEATH, DISCHARGE, KindDefinition, KindRegistry
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError
from shared.declarations import read_toml, validate

SHIPPED = Path(__file__).parent / "shipped"
KIND_FILE = "kind.toml"
MAX_EXTENDS_DEPTH = 5  # kinds that extend each other
_NAME_ADAPTER: TypeAdapter[str] = TypeAdapter(Name)


@cache
def load_shipped_kinds() -> KindRegistry:
    """Return the kinds that come with Countersign."""
    return load_kinds(None)


def load_kinds(folder: Path | None) -> KindRegistry:
    """Return the shipped kinds and those of a hospital's `folder`.

    Raises PermanentError whose reason names the invalid file and the error: a service must not start with half a kind.
    """
    own = _folders(SHIPPED)
    if folder is not None and not folder.is_dir():
        raise PermanentError(f"{folder} is not a folder of kinds of documents")
    theirs = _folders(folder) if folder is not None else {}
    folders = {name: _KindFolders(theirs.get(name), own.get(name)) for name in sorted(own.keys() | theirs.keys())}
    kinds = {name: _kind(name, folders) for name in folders}
    for name in (DISCHARGE, DEATH):
        if kinds[name].declared.when:
            raise PermanentError(f"{name} is the default kind and cannot have rules (`when`)")
    return KindRegistry(kinds)


class _KindFolders:
    """The folders of a kind: the hospital's, ours, or both."""

    def __init__(self, theirs: Path | None, own: Path | None) -> None:
        self.folders = [folder for folder in (theirs, own) if folder is not None]


def _folders(folder: Path) -> dict[str, Path]:
    by_name = {}
    try:
        inner = sorted(item for item in folder.iterdir() if item.is_dir() and not item.name.startswith((".", "_")))
    except OSError as error:
        raise PermanentError(f"{folder} cannot be read ({error.strerror or type(error).__name__})") from None
    for item in inner:
        try:
            by_name[_NAME_ADAPTER.validate_python(item.name)] = item
        except ValidationError:
            raise PermanentError(f"{item}: the name of a kind must be lower case, such as transfer-summary") from None
    return by_name


def _kind(name: str, sources: dict[str, _KindFolders]) -> KindDefinition:
    folder = sources[name].folders[0]
    data, folders = _extended(name, 0, sources, ())
    path = folder / KIND_FILE
    declared = validate(Declaration, data, path)
    prompt = _prompt(declared.prompt, folders, path)
    files = b"\0".join((one / KIND_FILE).read_bytes() for one in folders)
    return KindDefinition(name, declared, prompt, sha256_hex(files + prompt.stamp.digest.encode()))


def _extended(
    name: str, level: int, sources: dict[str, _KindFolders], seen: tuple[Path, ...]
) -> tuple[dict[str, Any], list[Path]]:
    """Return a declaration merged onto what it extends, and the folders that declare it, its own first.

    A table or a list replaces the extended one, but each value of `gate` its own alone: a margin must not take away a
    limit. `level` 1 is our kind below one of the same name.
    """
    folder = sources[name].folders[level]
    if folder in seen or len(seen) >= MAX_EXTENDS_DEPTH:
        raise PermanentError(f"{seen[0] / KIND_FILE}: the kinds that it extends form a cycle")
    data = read_toml(folder / KIND_FILE)
    parent = data.get("extends")
    if parent is None:
        return data, [folder]
    above = level + 1 if parent == name else 0
    if parent not in sources or above >= len(sources[parent].folders):
        raise PermanentError(f"{folder / KIND_FILE}: extends: no such kind: {str(parent)[:64]!r}")
    inherited, folders = _extended(parent, above, sources, (*seen, folder))
    # Whom a kind is for is its own to say: what inherits that would take the other's stays.
    kept = {key: value for key, value in inherited.items() if key not in ("when", "priority", "title")}
    if parent == name:
        kept = inherited
    if "gate" in kept and "gate" in data:
        data = data | {"gate": _merged(kept["gate"], data["gate"])}
    return kept | data, [folder, *folders]


def _merged(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: _merged(below.get(key), value) for key, value in above.items()}


def _prompt(name: str, folders: Iterable[Path], path: Path) -> prompts.PromptTemplate:
    """Return the prompt of that name: beside the kind, beside what it extends, or the drafter's own."""
    for folder in (*folders, prompts.FOLDER):
        if (folder / f"{name}.prompt").is_file():
            try:
                return prompts.load_prompt(name, folder)
            except (OSError, KeyError, ValueError) as error:
                raise PermanentError(
                    f"{folder / name}.prompt is not a valid prompt ({type(error).__name__}: {error})"
                ) from None
    raise PermanentError(f"{path}: prompt: there is no {name}.prompt beside it")
