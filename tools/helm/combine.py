"""One tree of several renderings: what they share, and what only an option adds or changes."""

import json
from collections.abc import Sequence
from typing import Any

from tools.helm.kustomize import Tree
from tools.helm.nodes import When

Options = Sequence[tuple[str, Any]]  # a condition, and the value in the rendering with that option
IDENTITIES = ("name", "mountPath", "containerPort", "key")  # what tells items of a list apart


def identity(item: Any) -> str:
    """Return what an item of a list is recognized by in another rendering."""
    if isinstance(item, dict):
        if "mountPath" in item:
            return str(item["mountPath"])
        for key in IDENTITIES:
            if key in item:
                return str(item[key])
        if "name" in item.get("secret", {}):
            return str(item["secret"]["name"])
    return json.dumps(item, sort_keys=True)


def combine(base: Any, options: Options) -> Any:
    """Combine a value with the values that options give it. Raises ValueError where two options contradict."""
    changed = [(condition, value) for condition, value in options if value != base]
    if not changed:
        return base
    if isinstance(base, dict) and all(isinstance(value, dict) for _, value in changed):
        return _mappings(base, changed)
    if isinstance(base, list) and all(isinstance(value, list) for _, value in changed):
        return _lists(base, changed)
    condition, value = _one(changed)
    return When(condition, value, base)


def added(options: Options) -> When:
    """Return a value that the base does not have."""
    condition, value = _one(options)
    return When(condition, value)


def objects_by_key(rendered: Sequence[Tree]) -> dict[tuple[str, str], Tree]:
    """Return objects by kind and name."""
    return {(item["kind"], item["metadata"]["name"]): item for item in rendered}


def _mappings(base: Tree, options: Options) -> Tree:
    found = {}
    for key, value in base.items():
        without = [condition for condition, other in options if key not in other]
        combined = combine(value, [(condition, other[key]) for condition, other in options if key in other])
        found[key] = _unless(without, combined)
    for key in dict.fromkeys(key for _, other in options for key in other if key not in base):
        found[key] = added([(condition, other[key]) for condition, other in options if key in other])
    return found


def _lists(base: list[Any], options: Options) -> list[Any]:
    own = {identity(item): item for item in base}
    others = [(condition, {identity(item): item for item in other}) for condition, other in options]
    found = []
    for key, item in own.items():
        without = [condition for condition, other in others if key not in other]
        combined = combine(item, [(condition, other[key]) for condition, other in others if key in other])
        found.append(_unless(without, combined))
    for key in dict.fromkeys(key for _, other in others for key in other if key not in own):
        found.append(added([(condition, other[key]) for condition, other in others if key in other]))
    return found


def _unless(conditions: Sequence[str], value: Any) -> Any:
    return When(f"not ({_any(conditions)})", value) if conditions else value


def _one(options: Options) -> tuple[str, Any]:
    values = [value for _, value in options]
    if any(value != values[0] for value in values):
        raise ValueError(f"options that contradict: {options}")
    return _any([condition for condition, _ in options]), values[0]


def _any(conditions: Sequence[str]) -> str:
    if len(conditions) == 1:
        return conditions[0]
    return "or " + " ".join(f"({item})" if " " in item else item for item in conditions)
