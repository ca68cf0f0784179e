"""What differs between HTTP APIs of text generation: how a request is written, and how its events are read. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.contracts.errors import PermanentError
from shared.inference.chat_messages import Message
from shared.inference.generation import Sampling, Usage

MAX_NAME_CHARACTERS = 120
_UNSAFE = re.compile(r"[^A-Za-z0-9._:/@+-]+")


@dataclass(slots=True)
class Answer:
    """What the events of one answer have said so far.

    `finished`: the model has ended its text; `done`: no event follows.
    """

    model: str = ""
    version: str = ""
    usage: Usage | None = None
    finished: bool = False
    done: bool = False


class GenerationApi(Protocol):
    """One HTTP API. Its methods are pure; errors quote nothing of what the server sent."""

    provider: str  # as OpenTelemetry names it
    generate_path: str
    models_path: str
    retried_statuses: frozenset[int]  # with which the server, not the model, has failed

    def headers(self, key: str | None) -> dict[str, str]: ...

    def body(self, model: str, messages: tuple[Message, ...], sampling: Sampling) -> dict[str, Any]: ...

    def read(self, data: str, answer: Answer) -> str:
        """Update `answer` from the data of one event, and return the text that the event adds.

        Raises TransientError, RateLimitedError or PermanentError where the event states an error.
        """
        ...


class ServerEvent(BaseModel):
    """Base of what is read from servers: other fields are ignored, as APIs add some."""

    model_config = ConfigDict(extra="ignore", frozen=True)


EventT = TypeVar("EventT", bound=ServerEvent)


def parse(kind: type[EventT], data: str | bytes) -> EventT:
    """Return an event. Raises PermanentError, without what the event says, where it has another shape."""
    try:
        return kind.model_validate_json(data)
    except ValidationError:
        raise PermanentError("the server's answer is not of the API that is declared") from None


def with_parameters(body: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` with further fields; null takes one away."""
    return {name: value for name, value in (dict(body) | dict(parameters)).items() if value is not None}


def served_name(model: str, version: str) -> str:
    """Return a model's name and version as one text: each without white space, and not longer than a line."""
    parts = (_UNSAFE.sub("-", item.strip())[:MAX_NAME_CHARACTERS] for item in (model, version))
    return " ".join(filter(None, parts))


def as_json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()
