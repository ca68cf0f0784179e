"""`python -m tests.stays`: drafts the corpus and tells how much of what should be said is said, and what is wrong.

Exit 1 when a critical fact is missing or wrong.
"""

import argparse
import asyncio
import json
import logging
import sys
from pathlib import Path

from tests.stays import corpus
from tests.stays.model import Document, Row, Stay
from tests.stays.quality import failing, judged, tables


def main() -> int:
    options = _options()
    logging.disable(logging.WARNING)
    stays = [stay for stay in corpus.all_stays(print) if _chosen(stay, options)]
    rows, documents = asyncio.run(judged(stays))
    print(tables(rows))
    wrong = failing(rows)
    for row in wrong:
        if options.verbose or row.fact.severity == "critical":
            print(f"\n{row}")
    if options.json:
        options.json.write_text(json.dumps([_record(row) for row in rows], indent=1, ensure_ascii=False))
    if options.text:
        _write(options.text, documents)
    return 1 if any(row.fact.severity == "critical" for row in wrong) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.stays", description=__doc__)
    parser.add_argument("--source", help="only stays of this source, such as 'US Core'")
    parser.add_argument("--only", help="only stays whose names begin with one of these, with commas between")
    parser.add_argument(
        "--verbose", action="store_true", help="every fact that is missing or wrong, not only critical ones"
    )
    parser.add_argument("--json", type=Path, help="write every fact with its result into this file")
    parser.add_argument("--text", type=Path, help="write every document into this folder")
    return parser.parse_args()


def _chosen(stay: Stay, options: argparse.Namespace) -> bool:
    names = tuple((options.only or "").split(","))
    return stay.name.startswith(names) and (options.source or stay.source).lower() == stay.source.lower()


def _record(row: Row) -> dict[str, str | bool | None]:
    return {
        "stay": row.stay.name,
        "source": row.stay.source,
        "fact": row.fact.what,
        "kind": row.fact.kind,
        "severity": row.fact.severity,
        "never": row.fact.never,
        "result": row.result,
        "seen": row.seen,
    }


def _write(folder: Path, documents: dict[str, Document]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        beside = "\n".join(document.beside)
        (folder / f"{name}.txt").write_text(f"{document.refused or document.text}\nBESIDE THE DOCUMENT\n{beside}\n")


if __name__ == "__main__":
    sys.exit(main())
