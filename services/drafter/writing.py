"""Write one draft from the context of a stay: facts, composed narrative, the model's sentences that stand."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field

from services.drafter import document_header, facts, general_advice, narrative, reuse
from services.drafter.compose import compose
from services.drafter.configurations import ChosenDrafter, Drafters
from services.drafter.course import compose_course
from services.drafter.kinds import KindDefinition, KindRegistry, load_shipped_kinds
from services.drafter.models import most_tokens
from services.drafter.notes.quotation import QuotedNotes, quote_notes
from services.drafter.passages import retrieve_passages
from services.drafter.policy import ChosenNarrative, choose_narrative
from services.drafter.reuse import PreparedDraft
from services.drafter.wording import TOKENS_PER_WORD, Departments, Wording
from shared.contracts.context import EncounterContext
from shared.contracts.draft import AnswerFigures, CitedKnowledge, Claim, Draft, Narrative, OpenPoint, Routing, Sentence
from shared.contracts.drafters import DrafterConfiguration, Policy
from shared.grounding import EvidenceIndex, check, split_sentences
from shared.inference.generation import Generation, Sampling
from shared.inference.triton import INTERACTIVE_PRIORITY
from shared.knowledge.retriever import Retriever

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Documents:
    """The kinds of documents, and the departments' wording."""

    kinds: KindRegistry = field(default_factory=load_shipped_kinds)
    departments: Departments = field(default_factory=Departments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a draft is written for."""

    case: str
    department: str
    context_digest: str
    last: bool  # no further attempt follows: the draft is written without the model if that is not available
    number: int = 1
    request: str | None = None  # the physician's words, of a draft that is written again
    before: PreparedDraft | None = None  # the draft that was prepared before
    preparing: bool = False  # the stay is not discharged yet
    tokens: int | None = None  # that the model may use for prompt and text; None: no limit


@dataclass(frozen=True, slots=True)
class _Answer:
    """The model's answer, why it has none that can be used, and its checked sentences."""

    generation: Generation | None = None
    silent: str | None = None
    sentences: tuple[Sentence, ...] = ()

    @property
    def figures(self) -> AnswerFigures | None:
        if self.generation is None:
            return None
        labels = Counter(item.label for item in self.sentences)
        usage = self.generation.usage
        return AnswerFigures(
            supported=labels["supported"],
            contradicted=labels["contradicted"],
            not_in_record=labels["not-in-record"],
            input_tokens=usage.input_tokens if usage else None,
            output_tokens=usage.output_tokens if usage else None,
        )


class DraftWriter:
    """Writes drafts, at one priority of the model server."""

    def __init__(
        self,
        drafters: Drafters,
        deadline: float,
        retriever: Retriever | None,
        documents: Documents | None = None,
        *,
        priority: int = INTERACTIVE_PRIORITY,
    ) -> None:
        """`deadline` is the longest time of one generation, in seconds; `priority` is that of queries."""
        self._drafters = drafters
        self._deadline = deadline
        self._retriever = retriever
        self._documents = documents or Documents()
        self._priority = priority

    async def write(self, context: EncounterContext, task: Assignment) -> Draft:
        """Return a draft. Narratives that were prepared from the same facts are kept, the model is asked for others."""
        kind = self._documents.kinds.of(context.kind, died=context.died)
        drafter = await self._drafters.choose(kind, task.case)
        kind = drafter.apply(kind)
        wording = self._documents.departments.of(task.department, kind.name)
        knowledge = None
        if self._retriever is not None:
            knowledge = await retrieve_passages(self._retriever, context, self._priority)
        notes = await asyncio.to_thread(quote_notes, context)
        prompt = _prompt(kind, wording, context, knowledge, task.request, notes)
        composed = compose_course(context, notes.sentences)
        rules = tuple(item for item in composed if kind.part_of(item.narrative) is not None)
        facts_of = reuse.written_from(rules, prompt, kind, drafter.configuration)
        kept = reuse.compare(task.before, facts_of, kind, drafter.stamp)
        before = await asyncio.to_thread(recheck, kept.sentences, context, knowledge)
        answer = _Answer()
        if kept.asks_model:
            answer = await self._ask(drafter, kind, wording, context, knowledge, prompt, task)
        generation = answer.generation
        own, advised = general_advice.without_advice_as_course(answer.sentences)
        policy = _policy_for(drafter, generation) if generation else kept.policy or drafter.policy
        chosen = _choose(wording, rules, kept.reusable(before, policy), kept.new(own), policy)
        return compose(
            context,
            facts.render(context, kind),
            chosen.sentences,
            number=task.number,
            model=generation.model if generation else kept.model,
            prompt=kind.prompt.stamp,
            context_digest=task.context_digest,
            knowledge=knowledge,
            composed=chosen.composed,
            replaced=chosen.replaced + advised,
            asked=(*revision_point(task.request, chosen), *_unknown_kind_point(kind, context)),
            notes=notes,
            model_silent=answer.silent,
            kind=kind,
            routing=_routing(kind, wording, context, policy),
        ).model_copy(
            update={
                "written_from": facts_of if task.preparing else None,
                "prepared": kept.stamp,
                "drafter": drafter.stamp,
                "answer": answer.figures,
            }
        )

    async def _ask(
        self,
        drafter: ChosenDrafter,
        kind: KindDefinition,
        wording: Wording | None,
        context: EncounterContext,
        knowledge: CitedKnowledge | None,
        prompt: str,
        task: Assignment,
    ) -> "_Answer":
        """Ask the model, and compare its sentences with the record."""
        sampling = _sampling(drafter.configuration, wording, context)
        if task.tokens is not None and most_tokens(prompt, sampling) > task.tokens:
            return _Answer(silent="the budget of tokens for the night is used up")
        generation, silent = await drafter.model.ask(
            task.case, prompt, sampling, deadline=self._deadline, last=task.last, context=context
        )
        if generation is None:
            return _Answer(silent=silent)
        found = narrative.parse_answer(generation.text, died=not _needs_instructions(kind, context))
        if isinstance(found, narrative.UnusableAnswer):
            return _Answer(generation, found.reason)
        return _Answer(generation, None, await asyncio.to_thread(check_narratives, found, context, knowledge))


def _policy_for(drafter: ChosenDrafter, generation: Generation) -> Policy:
    """Return the policy of the configuration; `strict` where the model's own configuration requires it."""
    if drafter.policy == "marked" and generation.strict:
        logger.warning("%s allows the policy strict only; marked is not applied", generation.model)
        return "strict"
    return drafter.policy


def _choose(
    wording: Wording | None,
    rules: tuple[Sentence, ...],
    before: tuple[Sentence, ...],
    own: tuple[Sentence, ...],
    policy: Policy,
) -> ChosenNarrative:
    """Return the sentences of the draft: `before` are those of the model that were prepared, `own` its new ones.

    What the model copied from a department's example is dropped.
    """
    new, copied = wording.without_copies(own) if wording else (own, 0)
    sentences = choose_narrative(rules, (*before, *new), policy).sentences
    used = {id(item) for item in sentences}
    return ChosenNarrative(sentences, sum(id(item) not in used for item in new) + copied)


def _routing(kind: KindDefinition, wording: Wording | None, context: EncounterContext, policy: Policy) -> Routing:
    return Routing(
        why=context.why,
        also=context.also,
        declaration=kind.digest,
        policy=policy,
        wording=wording.digest if wording else None,
        words=wording.max_words(document_header.length_of_stay(context)) if wording else None,
    )


def _needs_instructions(kind: KindDefinition, context: EncounterContext) -> bool:
    return context.needs_instructions and kind.declared.patient_instructions


def _prompt(
    kind: KindDefinition,
    wording: Wording | None,
    context: EncounterContext,
    knowledge: CitedKnowledge | None,
    request: str | None,
    notes: QuotedNotes,
) -> str:
    department = wording.lines(document_header.length_of_stay(context)) if wording else ""
    advice = knowledge if _needs_instructions(kind, context) else None
    return kind.prompt.render(narrative.prompt_facts(context, advice, notes.quoted), request, department)


def _sampling(configuration: DrafterConfiguration, wording: Wording | None, context: EncounterContext) -> Sampling:
    """Return sampling parameters with enough tokens for the number of words that a department asks for."""
    words = wording.max_words(document_header.length_of_stay(context)) if wording else None
    prompt = configuration.prompt
    most = max(prompt.max_tokens, (words or 0) * TOKENS_PER_WORD)
    return Sampling(max_tokens=most, stop=prompt.stop, **configuration.sampling.model_dump())


def _unknown_kind_point(kind: KindDefinition, context: EncounterContext) -> tuple[OpenPoint, ...]:
    """Return an open point where the stay was read as a kind that is no longer declared."""
    if kind.name == context.kind:
        return ()
    words = f"This stay was taken for a {context.kind}, which is not declared any more; this is a {kind.name}"
    return (OpenPoint(text=f"{words}: see that it says what is needed"),)


def revision_point(request: str | None, chosen: ChosenNarrative) -> tuple[OpenPoint, ...]:
    """Return what became of the physician's requested changes, where the draft does not follow them."""
    if request is None:
        return ()
    used = len(chosen.sentences) - chosen.composed
    outcome = f"{used} of its sentences stand" if used else "none of its sentences could be kept"
    words = f"Your words went to the model; {outcome}. What they ask beyond that is for you to write: change the text"
    return (OpenPoint(text=words),)


def check_narratives(
    found: narrative.Narratives, context: EncounterContext, knowledge: CitedKnowledge | None = None
) -> tuple[Sentence, ...]:
    """Return each sentence of the narratives with its label, evidence and unsupported claims.

    What comes from a passage of `knowledge` is labelled as general advice.
    """
    record = EvidenceIndex(context)
    return tuple(
        _check_narrative(text, name, record, knowledge)
        for name, texts in found.items()
        for text in split_sentences(texts)
    )


def _check_narrative(text: str, name: Narrative, record: EvidenceIndex, knowledge: CitedKnowledge | None) -> Sentence:
    verdict = check(text, record)
    claims = tuple(
        Claim(kind=item.kind, text=item.text, label=item.label, source=item.source, detail=item.detail)
        for item in verdict.findings
        if item.label != "supported"
    )
    sentence = Sentence(
        narrative=name,
        text=text,
        evidence=verdict.evidence,
        unsupported=claims,
        label=verdict.label,
        by_note=verdict.by_note,
    )
    return general_advice.label_general_advice(sentence, verdict.findings, record, knowledge)


def recheck(
    sentences: tuple[Sentence, ...], context: EncounterContext, knowledge: CitedKnowledge | None
) -> tuple[Sentence, ...]:
    """Return sentences of an earlier draft with what the record says about them now."""
    if not sentences:
        return ()
    record = EvidenceIndex(context)
    return tuple(_check_narrative(item.text, item.narrative, record, knowledge) for item in sentences)
