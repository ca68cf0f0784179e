"""Put values of the user into the combined manifests."""

from typing import Any

from tools.helm import options
from tools.helm.combine import identity
from tools.helm.kustomize import Tree
from tools.helm.nodes import Block, Expression, When

MORE = "+"
NEW = "?"
PREFIX = "countersign-"


def put(tree: Tree, path: str, what: Expression | Block) -> None:
    """Put a value at a path: keys, and names or indexes of items, between slashes.

    A last step `+` adds to a list, and a key with `?` is added, on the condition that the value is set. All else
    replaces what the manifests have; where only an option has it, the value counts with the option only. Raises
    KeyError, with the path, where nothing is there to be replaced.
    """
    *way, last = path.split("/")
    node: Any = tree
    for step in way:
        node = _step(node, step, path)
    if_set = When(f".Values{what.text.partition('.Values')[2].partition(' ')[0]}", what)
    if last == MORE:
        node.append(if_set)
    elif last.endswith(NEW):
        node[last.removesuffix(NEW)] = if_set
    elif isinstance(node, list):
        index = _index(node, last, path)
        node[index] = _kept(node[index], what)
    elif last in node:
        node[last] = _kept(node[last], what)
    else:
        raise KeyError(f"{last} of {path}")


def _kept(old: Any, new: Expression | Block) -> Any:
    """Return the new value, in the branch that an option has added."""
    return When(old.condition, new, old.otherwise) if isinstance(old, When) else new


def _step(node: Any, step: str, path: str) -> Any:
    if isinstance(node, list):
        found = node[_index(node, step, path)]
    elif step in node:
        found = node[step]
    else:
        raise KeyError(f"{step} of {path}")
    return found.then if isinstance(found, When) else found


def _index(items: list[Any], step: str, path: str) -> int:
    if step.isdigit():
        return int(step)
    for index, item in enumerate(items):
        if identity(item.then if isinstance(item, When) else item) == step:
            return index
    raise KeyError(f"{step} of {path}")


def references(node: Any, key: str = "") -> Any:
    """Return a tree with images, Secrets, ConfigMaps and addresses of the cluster by the values that name them."""
    if isinstance(node, When):
        otherwise = None if node.otherwise is None else references(node.otherwise, key)
        return When(node.condition, references(node.then, key), otherwise)
    if isinstance(node, dict):
        return {part: _reference(part, item, key) for part, item in node.items()}
    if isinstance(node, list):
        return [references(item, key) for item in node]
    return Expression(options.ADDRESSES[node]) if isinstance(node, str) and node in options.ADDRESSES else node


def _reference(key: str, item: Any, parent: str) -> Any:
    if key == "image" and isinstance(item, str):
        repository, _, _ = item.partition("@")[0].rpartition(":")
        return Expression(f'include "countersign.image" (list . "{options.IMAGES[repository]}")')
    if not isinstance(item, str) or not item.startswith(PREFIX):
        return references(item, key)
    if key == "secretName" or (key == "name" and parent == "secret"):
        return Expression(f".Values.secrets.{camel(item.removeprefix(PREFIX))} | quote")
    if key == "name" and parent == "configMap":
        return Expression(f".Values.configMaps.{options.CONFIG_MAPS[item]} | quote")
    return item


def camel(name: str) -> str:
    """Return the name of a value: `natsTls` for `nats-tls`."""
    first, *others = name.split("-")
    return first + "".join(part.capitalize() for part in others)
