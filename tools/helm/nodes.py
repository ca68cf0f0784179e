"""Trees of YAML with Go template expressions in them, and their text."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import yaml

from tools.helm.kustomize import NAMESPACE

STEP = 2
FIRST = {key: place for place, key in enumerate(("apiVersion", "kind", "metadata", "name", "namespace", "mountPath"))}


@dataclass(frozen=True)
class Expression:
    """A scalar: `{{ text }}`."""

    text: str


@dataclass(frozen=True)
class Block:
    """A mapping or list: `{{- text | nindent N }}`, below its key or among the entries of its parent."""

    text: str


@dataclass(frozen=True)
class When:
    """A value, entry or item that is there if the condition holds; `otherwise` if it does not (None: nothing)."""

    condition: str
    then: Any
    otherwise: Any = None


def text_of(node: dict[str, Any]) -> str:
    """Return a whole object as the text of a template."""
    return "\n".join(_mapping(node, 0)) + "\n"


def _mapping(node: dict[str, Any], indent: int) -> list[str]:
    entries = sorted(node.items(), key=lambda entry: FIRST.get(entry[0], len(FIRST)))
    return _grouped(entries, lambda entry: entry[1], lambda entry, part: _entry(entry[0], part, indent), indent)


def _items(values: list[Any], indent: int) -> list[str]:
    return _grouped(values, lambda value: value, lambda _, part: _item(part, indent), indent)


def _grouped(
    parts: Sequence[Any], value: Callable[[Any], Any], lines: Callable[[Any, Any], list[str]], indent: int
) -> list[str]:
    """Return the lines of entries or items; neighbours that one option adds are in one block."""
    found = []
    for condition, group in groupby(parts, lambda part: _alone(value(part))):
        if condition is None:
            found += [line for part in group for line in lines(part, value(part))]
        else:
            inner = [line for part in group for line in lines(part, value(part).then)]
            found += [f"{' ' * indent}{{{{- if {condition} }}}}", *inner, f"{' ' * indent}{{{{- end }}}}"]
    return found


def _alone(value: Any) -> str | None:
    """Return the condition of what is not there otherwise; None of everything else."""
    return value.condition if isinstance(value, When) and value.otherwise is None else None


def _entry(key: str, value: Any, indent: int) -> list[str]:
    pad = " " * indent
    if isinstance(value, When):
        return _either(value, lambda part: _entry(key, part, indent), pad)
    if key == "":  # entries of the mapping itself
        return [f"{pad}{{{{- {value.text} | nindent {indent} }}}}"]
    inner = indent + STEP
    if isinstance(value, Block):
        return [f"{pad}{key}:", f"{' ' * inner}{{{{- {value.text} | nindent {inner} }}}}"]
    if isinstance(value, dict) and value:
        return [f"{pad}{key}:", *_mapping(value, inner)]
    if isinstance(value, list) and value:
        return [f"{pad}{key}:", *_items(value, inner)]
    if isinstance(value, str) and value.count("\n") > 1:
        return [f"{pad}{key}: |", *(f"{' ' * inner}{line}".rstrip() for line in _plain(value).splitlines())]
    return [f"{pad}{key}: {_scalar(value)}"]


def _item(value: Any, indent: int) -> list[str]:
    pad = " " * indent
    if isinstance(value, When):
        return _either(value, lambda part: _item(part, indent), pad)
    if isinstance(value, Block):
        return [f"{pad}{{{{- {value.text} | nindent {indent} }}}}"]
    if isinstance(value, dict) and value:
        # The dash belongs to the first line, which must be there in any case.
        always = {key: part for key, part in value.items() if not isinstance(part, When)}
        lines = _mapping(always, indent + STEP)
        lines += _mapping({key: part for key, part in value.items() if key not in always}, indent + STEP)
        if lines[0].lstrip().startswith("{{"):
            raise ValueError(f"an item that may have no first line: {value}")
        return [f"{pad}- {lines[0].lstrip()}", *lines[1:]]
    return [f"{pad}- {_scalar(value)}"]


def _either(value: When, lines: Callable[[Any], list[str]], pad: str) -> list[str]:
    then, otherwise = lines(value.then), lines(value.otherwise)
    return [f"{pad}{{{{- if {value.condition} }}}}", *then, f"{pad}{{{{- else }}}}", *otherwise, f"{pad}{{{{- end }}}}"]


def _scalar(value: Any) -> str:
    if isinstance(value, Expression):
        return f"{{{{ {value.text} }}}}"
    if value == NAMESPACE:
        return "{{ .Release.Namespace | quote }}"
    if isinstance(value, str) and "\n" in value:
        return json.dumps(_plain(value))
    text = str(yaml.safe_dump(value, default_flow_style=True, width=100_000)).removesuffix("...\n").strip()
    return _plain(text).replace(NAMESPACE, "{{ .Release.Namespace }}")


def _plain(text: str) -> str:
    if "{{" in text:
        raise ValueError(f"a value that Helm would read as a template: {text}")
    return text
