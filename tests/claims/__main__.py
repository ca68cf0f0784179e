"""`python -m tests.claims`: tries the sentence check on true sentences and planted errors, and prints the table.

`python -m tests.claims --sample 120` prints sentences with their labels instead, for reading.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random

from tests.claims.build import sentences
from tests.claims.checks import checker
from tests.claims.contexts import contexts
from tests.claims.model import Sentence
from tests.claims.score import Outcome, judged, table


def main() -> int:
    options = _options()
    records = contexts(print)
    chosen = [one for one in sentences(records) if _chosen(one, options)]
    if options.sample:
        print(sampled(chosen, options.sample, options.seed))
        return 0
    found = judged(chosen[: options.limit], records, checker)
    if options.verbose:
        print("\n".join(_told(item) for item in found if _wrong(item)), end="\n\n")
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps([_record(item) for item in found], indent=1, ensure_ascii=False))
    return 0


def sampled(found: Sequence[Sentence], count: int, seed: int) -> str:
    """Sentences drawn at random, one a line, for the audit of the labels."""
    drawn = Random(seed).sample(found, min(count, len(found)))
    return "\n".join(f"{one.stay} | {one.kind or 'TRUE'} | {one.label} | {one.text} | {one.wrong}" for one in drawn)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.claims", description=__doc__)
    parser.add_argument("--split", choices=("dev", "held"), help="only this split")
    parser.add_argument("--author", help="only the sentences in this way of writing, of the development split")
    parser.add_argument("--kind", help="only errors of this kind, or true sentences of this type")
    parser.add_argument("--limit", type=int, help="only so many sentences")
    parser.add_argument("--sample", type=int, help="print so many sentences with their labels, and check none")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--verbose", action="store_true", help="print the errors missed and the true sentences marked")
    parser.add_argument("--json", type=Path, help="write every sentence with its result to this file")
    return parser.parse_args()


def _chosen(one: Sentence, options: argparse.Namespace) -> bool:
    named = not options.kind or options.kind in (one.kind, "" if one.kind else one.type)
    return named and options.split in (None, one.split) and options.author in (None, one.author)


def _wrong(item: Outcome) -> bool:
    # The held-out split is not to be read by whoever tunes the check.
    return item.sentence.split == "dev" and (not item.reason if item.sentence.kind else item.marked)


def _told(item: Outcome) -> str:
    claims = "; ".join(f"{one.kind} {one.text!r} {one.label}" for one in item.result.findings)
    return (
        f"{item.sentence.stay} | {item.sentence.kind or 'TRUE'} | {item.sentence.text} | {item.result.label} | {claims}"
    )


def _record(item: Outcome) -> dict[str, object]:
    return {**asdict(item.sentence), "marked": item.marked, "reason": item.reason, "result": asdict(item.result)}


raise SystemExit(main())
