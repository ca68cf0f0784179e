"""The workbench: edit a copy of a configuration, see what differs, and save it as a candidate."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from services.evaluator.dependencies import Drafters, Engineer
from services.evaluator.drafters import DrafterRecord, DrafterService
from services.evaluator.web.drafter_list import HERE
from services.evaluator.web.prompt_diff import prompt_diff
from services.evaluator.web.render import PageRoute, page
from shared.contracts.drafters import MAX_PROMPT_CHARACTERS, DrafterConfiguration, DrafterSampling, Policy, PromptText
from shared.runtime.problems import ProblemError
from shared.runtime.request_limits import TEXT_MAX_BODY_BYTES, limit_endpoint

router = APIRouter(route_class=PageRoute, include_in_schema=False)
PLACEHOLDER = "{facts}"


@dataclass(frozen=True, slots=True)
class EditedCopy:
    """What the form has: text of the prompt, strings that end an answer (one a line), sampling, model and policy."""

    text: str
    stop: str
    max_tokens: int
    temperature: float
    seed: int
    repetition_penalty: float
    model: str
    policy: Policy

    @classmethod
    def of(cls, found: DrafterConfiguration) -> "EditedCopy":
        return cls(
            text=found.prompt.text,
            stop="\n".join(found.prompt.stop),
            max_tokens=found.prompt.max_tokens,
            model=found.model,
            policy=found.policy,
            **found.sampling.model_dump(),
        )

    def changes(self, base: DrafterConfiguration) -> dict[str, Any]:
        """Return what differs from `base`, by field. A prompt that differs has the next version.

        Raises ValueError for a text without the placeholder of the facts.
        """
        text = self.text if self.text.endswith("\n") or not base.prompt.text.endswith("\n") else f"{self.text}\n"
        if PLACEHOLDER not in text:
            raise ValueError(f"The text of the prompt has no placeholder {PLACEHOLDER}: the model would see no facts.")
        prompt = base.prompt.model_copy(
            update={"text": text, "stop": tuple(filter(None, self.stop.split("\n"))), "max_tokens": self.max_tokens}
        )
        if prompt != base.prompt:
            next_version = {"version": base.prompt.version + 1}
            prompt = PromptText.model_validate(prompt.model_dump() | next_version)
        sampling = DrafterSampling(
            temperature=self.temperature, seed=self.seed, repetition_penalty=self.repetition_penalty
        )
        found: dict[str, Any] = {}
        if prompt != base.prompt:
            found["prompt"] = prompt.model_dump()
        if sampling != base.sampling:
            found["sampling"] = sampling.model_dump()
        if self.model != base.model:
            found["model"] = self.model
        if self.policy != base.policy:
            found["policy"] = self.policy
        return found


async def _edited(
    text: Annotated[str, Form(max_length=2 * MAX_PROMPT_CHARACTERS)],
    max_tokens: Annotated[int, Form(ge=1, le=8192)],
    temperature: Annotated[float, Form(ge=0, le=2)],
    seed: Annotated[int, Form(ge=0, le=2**31 - 1)],
    repetition_penalty: Annotated[float, Form(gt=0, le=2)],
    model: Annotated[str, Form(pattern=r"^[A-Za-z0-9_-]{1,64}$")],
    policy: Annotated[Policy, Form()],
    stop: Annotated[str, Form(max_length=2000)] = "",
) -> EditedCopy:
    return EditedCopy(
        text=text.replace("\r\n", "\n"),  # as browsers send them
        stop=stop.replace("\r\n", "\n"),
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        repetition_penalty=repetition_penalty,
        model=model,
        policy=policy,
    )


@router.get("/drafters/{digest}/edit")
async def edit(digest: str, who: Engineer, drafters: Drafters) -> Response:
    found = await drafters.one(digest)
    return page("workbench.html", **await _values(drafters, found, EditedCopy.of(found.configuration)), who=who)


@router.post("/drafters/{digest}/edit")
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def save(
    digest: str,
    who: Engineer,
    drafters: Drafters,
    copy: Annotated[EditedCopy, Depends(_edited)],
    reason: Annotated[str, Form(max_length=1000)] = "",
    look: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Save the copy as a candidate; with `look`, show only what differs. What was typed is never lost."""
    found = await drafters.one(digest)
    try:
        changes = copy.changes(found.configuration)
        if not changes:
            raise ValueError("Nothing differs from the configuration that it is a copy of.")
        if not look and not reason.strip():
            raise ValueError("Say why, in the field below.")
        if look:
            values = await _values(drafters, found, copy, reason=reason, changed=sorted(changes))
            return page("workbench.html", **values, who=who)
        added = await drafters.add(found.document, digest, changes, who.actor, reason.strip())
    except (ValueError, ProblemError) as error:  # a ValidationError is a ValueError
        values = await _values(drafters, found, copy, reason=reason, problem=_error_text(error))
        return page("workbench.html", 409 if isinstance(error, ProblemError) else 422, **values, who=who)
    return RedirectResponse(f"{HERE}/{added.entry.configuration}?done=added", 303)


def _error_text(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{item['loc'][-1] if item['loc'] else 'prompt'}: {item['msg']}" for item in error.errors())
    return f"{error.title}. {error.detail}" if isinstance(error, ProblemError) else str(error)


async def _values(
    drafters: DrafterService,
    found: DrafterRecord,
    copy: EditedCopy,
    *,
    reason: str = "",
    changed: list[str] | None = None,
    problem: str = "",
) -> dict[str, Any]:
    models = {item.configuration.model for item in await drafters.all(None)}
    return {
        "here": HERE,
        "found": found,
        "copy": copy,
        "reason": reason,
        "changed": changed,
        "problem": problem,
        "models": sorted(models),
        "diff": prompt_diff(found.configuration.prompt.text, copy.text) if changed or problem else None,
        "longest": MAX_PROMPT_CHARACTERS,
    }
