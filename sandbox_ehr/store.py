"""Keep the resources of the sandbox: in memory for reading, in an SQLite file, if there is one, to survive a crash."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

Resource = dict[str, Any]


class Store:
    """Resources by type and id. Without a file they are lost at the end of the process."""

    def __init__(self, file: Path | None = None) -> None:
        self._types: dict[str, dict[str, Resource]] = {}
        self._by_patient: dict[tuple[str, str], dict[str, Resource]] = {}
        self._by_person: dict[tuple[str, str], dict[str, Resource]] = {}
        self._by_identifier: dict[tuple[str, str], dict[str, Resource]] = {}
        self._db = _open(file) if file is not None else None
        for body in self._execute("SELECT body FROM resource"):
            self._index(json.loads(body[0]))

    def __len__(self) -> int:
        return sum(map(len, self._types.values()))

    def get(self, type: str, id: str) -> Resource | None:
        return self._types.get(type, {}).get(id)

    def put(self, resource: Resource) -> None:
        """Store one version. It is durable when this returns."""
        type, id = resource["resourceType"], resource["id"]
        if self._db is not None:
            self._execute("INSERT OR REPLACE INTO resource VALUES (?, ?, ?)", (type, id, json.dumps(resource)))
        if (previous := self.get(type, id)) is not None:
            self._unindex(previous)
        self._index(resource)

    def remove(self, resource: Resource) -> None:
        """Delete a stored resource."""
        type, id = resource["resourceType"], resource["id"]
        self._execute("DELETE FROM resource WHERE type = ? AND id = ?", (type, id))
        self._unindex(self._types[type].pop(id))

    def put_all(self, resources: list[Resource]) -> None:
        """Store several resources in one transaction."""
        self._execute("BEGIN")
        for resource in resources:
            self.put(resource)
        self._execute("COMMIT")

    def candidates(
        self, type: str, patient: str | None, identifier: str | None, people: Sequence[str] = ()
    ) -> Iterator[Resource]:
        """Return the resources that a search has to test: by index where one applies, otherwise all of the type.

        `identifier` is one of the resources, `people` those that they name their patient by, each `system|value`.
        """
        if people:
            by_id = {id: item for person in people for id, item in self._by_person.get((type, person), {}).items()}
            return iter(list(by_id.values()))
        if identifier is not None:
            return iter(list(self._by_identifier.get((type, identifier), {}).values()))
        if patient is not None:
            return iter(list(self._by_patient.get((type, patient), {}).values()))
        return iter(list(self._types.get(type, {}).values()))

    def all_resources(self) -> Iterator[Resource]:
        """Return all resources."""
        return (item for found in self._types.values() for item in list(found.values()))

    def close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _execute(self, statement: str, values: tuple[str, ...] = ()) -> Iterable[tuple[str, ...]]:
        """Run a statement on the file; without one, return no rows."""
        return self._db.execute(statement, values) if self._db is not None else ()

    def _index(self, resource: Resource) -> None:
        type, id = resource["resourceType"], resource["id"]
        self._types.setdefault(type, {})[id] = resource
        for table, key in self._keys(resource):
            table.setdefault((type, key), {})[id] = resource

    def _unindex(self, resource: Resource) -> None:
        for table, key in self._keys(resource):
            table[resource["resourceType"], key].pop(resource["id"], None)

    def _keys(self, resource: Resource) -> Iterator[tuple[dict[tuple[str, str], dict[str, Resource]], str]]:
        for field in ("subject", "patient", "for"):
            named = resource.get(field)
            if isinstance(named, dict) and (reference := named.get("reference")):
                yield self._by_patient, reference.removeprefix("Patient/")
            if isinstance(named, dict) and isinstance(known := named.get("identifier"), dict):
                yield self._by_person, f"{known.get('system', '')}|{known.get('value', '')}"
        identifiers = resource.get("identifier") or []
        for item in identifiers if isinstance(identifiers, list) else [identifiers]:
            yield self._by_identifier, f"{item.get('system', '')}|{item.get('value', '')}"


def _open(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")  # survives the end of the process, which is what tests need
    db.execute("CREATE TABLE IF NOT EXISTS resource (type TEXT, id TEXT, body TEXT, PRIMARY KEY (type, id))")
    return db
