"""`python -m tests.stays.drafts DIR`: drafts every stay as the drafter does and writes its narrative, for a reader.

With `--model` a real Triton server runs the model on the CPU; each stay then has two drafts, one for each policy.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from services.drafter import kinds, narrative
from services.drafter.course import compose_course
from services.drafter.notes.quotation import quote_notes
from services.drafter.policy import Policy, choose_narrative
from services.drafter.writing import check_narratives
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Sentence
from shared.contracts.errors import CountersignError, PermanentError
from shared.grounding import EvidenceIndex, check
from shared.inference.generation import Generator, Sampling
from shared.inference.triton_generation import TritonGenerator
from tests.stays import bundles, corpus
from tests.stays.beside import Beside
from tests.stays.model import Stay
from tests.stays.reading import read
from tests.support.triton import triton_server

POLICIES: tuple[Policy, ...] = ("strict", "marked")
DEADLINE = 600.0  # seconds for one answer of the model, on cores that others use too


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence of a draft. `label` is the check's, for composed sentences too; `claims` are those not supported;
    `missing` is what no cited resource has.
    """

    narrative: str
    origin: str
    label: str
    text: str
    evidence: tuple[str, ...]
    claims: tuple[str, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Narrated:
    """The narrative of one draft, or why there is none. `replaced`: sentences of the model that were dropped."""

    stay: str
    source: str
    policy: Policy
    sentences: tuple[Told, ...] = ()
    replaced: int = 0
    silent: str | None = None
    refused: str | None = None
    dropped: tuple[Told, ...] = ()


async def narrated(stay: Stay, generator: Generator | None) -> tuple[Narrated, ...]:
    """The drafts of a stay: the composed one, and with a model one for each policy."""
    try:
        context = await extracted(stay)
    except PermanentError as error:
        return (Narrated(stay.name, stay.source, "strict", refused=str(error)),)
    own, silent = await written(context, generator) if generator else ((), None)
    return tuple(_narrated(stay, context, own, silent, policy) for policy in (POLICIES if generator else POLICIES[:1]))


async def extracted(stay: Stay) -> EncounterContext:
    """Raises PermanentError where no document may be drafted of the record."""
    return await read(stay)


async def written(context: EncounterContext, generator: Generator) -> tuple[tuple[Sentence, ...], str | None]:
    """The model's sentences, checked; or why there are none."""
    kind = kinds.load_shipped_kinds().of(context.kind, died=context.died)
    prompt = kind.prompt.content
    text = kind.prompt.render(narrative.prompt_facts(context, None, quote_notes(context).quoted), None)
    try:
        answer = await generator.generate(text, Sampling(prompt.max_tokens, prompt.stop), deadline=DEADLINE)
    except CountersignError as failure:
        return (), failure.reason
    found = narrative.parse_answer(
        answer.text, died=not (context.needs_instructions and kind.declared.patient_instructions)
    )
    return (
        ((), found.reason) if isinstance(found, narrative.UnusableAnswer) else (check_narratives(found, context), None)
    )


def _narrated(
    stay: Stay, context: EncounterContext, own: tuple[Sentence, ...], silent: str | None, policy: Policy
) -> Narrated:
    chosen = choose_narrative(compose_course(context, quote_notes(context).sentences), own, policy)
    record, beside = EvidenceIndex(context), Beside(stay)
    sentences = tuple(told(item, record, beside) for item in chosen.sentences)
    dropped = tuple(told(item, record, beside) for item in own if item not in chosen.sentences)
    return Narrated(stay.name, stay.source, policy, sentences, chosen.replaced, silent, dropped=dropped)


def told(item: Sentence, record: EvidenceIndex, beside: Beside) -> Told:
    verdict = check(item.text, record)
    claims = tuple(f"{one.kind}: {one.text} [{one.detail}]" for one in verdict.findings if one.label != "supported")
    evidence = tuple(f"{one.source}: {one.text}" for one in item.evidence)
    missing = beside.missing(item.text, (one.source for one in item.evidence))
    return Told(item.narrative, item.origin, verdict.label, item.text, evidence, claims, missing)


def lines(draft: Narrated) -> Iterator[str]:
    """A draft for a reader: who said it, what the check says, the sentence, and below it what it rests on."""
    yield f"=== {draft.stay} ({draft.source}), {draft.policy}"
    if draft.refused or draft.silent:
        yield f"  {draft.refused or draft.silent}"
    for name in ("hospital-course", "patient-instructions"):
        for item in (one for one in draft.sentences if one.narrative == name):
            yield from _line(item, name[0])
    for item in draft.dropped:
        yield from _line(item, "dropped")


def _line(item: Told, mark: str) -> Iterator[str]:
    yield f"  {mark} {item.origin}/{item.label}: {item.text}"
    yield from (f"        not supported: {claim}" for claim in item.claims)
    if item.missing:
        yield f"        not in the cited resources: {', '.join(item.missing)}"


def summary(drafts: Iterable[Narrated]) -> str:
    """How many drafts and sentences, by policy, origin and label."""
    counts: dict[str, int] = {}
    for draft in drafts:
        kind = "refused" if draft.refused else "drafts"
        counts[f"{draft.policy}: {kind}"] = counts.get(f"{draft.policy}: {kind}", 0) + 1
        for state, found in (("in the draft", draft.sentences), ("dropped", draft.dropped)):
            for item in found:
                key = f"{draft.policy}: sentences {state}, {item.origin}, {item.label}"
                counts[key] = counts.get(key, 0) + 1
                if item.missing:
                    key = f"{draft.policy}: sentences {state}, {item.origin}, with words that no cited resource has"
                    counts[key] = counts.get(key, 0) + 1
        if draft.silent:
            counts[f"{draft.policy}: model silent"] = counts.get(f"{draft.policy}: model silent", 0) + 1
    return "\n".join(f"{name:80}{count:7}" for name, count in sorted(counts.items()))


async def _each(stays: list[Stay], generator: Generator | None) -> AsyncIterator[Narrated]:
    try:
        for stay in stays:
            for draft in await narrated(stay, generator):
                yield draft
    finally:
        if generator is not None:
            await generator.close()


async def _write(stays: list[Stay], generator: Generator | None, folder: Path) -> list[Narrated]:
    """Written as it comes: a model on a shared CPU takes its time, and what is there can be read."""
    drafts: list[Narrated] = []
    with (folder / "drafts.txt").open("w") as text, (folder / "drafts.jsonl").open("w") as records:
        async for draft in _each(stays, generator):
            drafts.append(draft)
            print(*lines(draft), sep="\n", end="\n\n", file=text, flush=True)
            print(json.dumps(asdict(draft), ensure_ascii=False), file=records, flush=True)
    return drafts


def _stays(options: argparse.Namespace) -> list[Stay]:
    names = tuple((options.only or "").split(","))
    found = [stay for stay in (*corpus.all_stays(print), *bundles.stays(print)) if stay.name.startswith(names)]
    return found[:: options.every][: options.limit]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.stays.drafts", description=__doc__)
    parser.add_argument("folder", type=Path, help="where drafts.txt and drafts.jsonl are written")
    parser.add_argument("--model", action="store_true", help="with the sentences of the real model on this CPU")
    parser.add_argument("--only", help="only stays whose names begin with one of these, with commas between")
    parser.add_argument("--every", type=int, default=1, help="one of so many stays")
    parser.add_argument("--limit", type=int, help="at most so many stays")
    return parser.parse_args()


def main() -> int:
    options: Any = _options()
    logging.disable(logging.WARNING)
    options.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        generator: Generator | None = None
        if options.model:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="countersign-drafts-")))
            server = stack.enter_context(triton_server(place, ("drafter",)))
            generator = TritonGenerator(server.grpc, "drafter")
        drafts = asyncio.run(_write(_stays(options), generator, options.folder))
    print(summary(drafts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
