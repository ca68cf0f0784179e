"""Convert a raw prompt in ChatML into the messages of a chat API, whose server applies its model's own template. Pure.

https://huggingface.co/docs/transformers/chat_templating
"""

import re
from dataclasses import dataclass
from typing import Literal, cast

Role = Literal["system", "user", "assistant"]
MARKERS = ("<|im_start|>", "<|im_end|>")
_TURN = re.compile(r"<\|im_start\|>(system|user|assistant)\n(.*?)(?:<\|im_end\|>\n?|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


def chat_messages(prompt: str) -> tuple[Message, ...]:
    """Return the messages of `prompt`. The turn that it opens for the model is left out, as chat APIs open it.

    A prompt without markers is one message of the user.
    """
    turns = tuple(Message(cast(Role, role), text.strip()) for role, text in _TURN.findall(prompt))
    if not turns:
        return (Message("user", prompt.strip()),)
    return turns[:-1] if turns[-1] == Message("assistant", "") else turns


def stop_sequences(stop: tuple[str, ...]) -> tuple[str, ...]:
    """Return stop sequences without the markers of ChatML: a chat API ends the model's turn by itself."""
    return tuple(item for item in stop if item not in MARKERS)
