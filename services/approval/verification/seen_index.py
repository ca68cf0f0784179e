"""Index of the cases and documents seen, in a temporary SQLite database, so that memory use stays constant."""

import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import Self

_TABLES = """
create table cases (id text primary key, filing integer not null default 0) without rowid;
create table documents (id text primary key) without rowid;
"""


class SeenIndex:
    def __enter__(self) -> Self:
        self._db = sqlite3.connect("")  # sqlite's own temporary file, gone when it is closed
        self._db.executescript(_TABLES)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._db.close()

    def fresh(self, cases: Iterable[str]) -> list[str]:
        """Return the `cases` that were not given before, each once, in order."""
        return [id for id in dict.fromkeys(cases) if self._insert("insert or ignore into cases (id) values (?)", id)]

    def filed(self, case: str, documents: Iterable[str], *, filing: bool) -> None:
        """Add the documents that the events of `case` filed; `filing`: another one may be about to be filed."""
        self._db.execute("insert or replace into cases values (?, ?)", (case, filing))
        for id in documents:
            self._insert("insert or ignore into documents values (?)", id)

    def has_document(self, id: str) -> bool:
        return self._db.execute("select 1 from documents where id = ?", (id,)).fetchone() is not None

    def case(self, id: str) -> bool | None:
        """Return whether a document of the case may be about to be filed; None if there is no such case."""
        row = self._db.execute("select filing from cases where id = ?", (id,)).fetchone()
        return None if row is None else bool(row[0])

    @property
    def has_documents(self) -> bool:
        return self._db.execute("select 1 from documents limit 1").fetchone() is not None

    @property
    def cases(self) -> int:
        return int(self._db.execute("select count(*) from cases").fetchone()[0])

    def _insert(self, statement: str, id: str) -> bool:
        return self._db.execute(statement, (id,)).rowcount > 0
