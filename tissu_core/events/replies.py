"""What a model says while it loads, reads and answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tissu_core.events.records import build_event, by_name
from tissu_core.events.shared import Noticed, StageAdvanced

EndReason = Literal["stop", "length", "context", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoaded:
    """A model is ready to answer."""

    name: str
    """What a person calls it: its run, or its name in the store."""
    path: str
    num_parameters: int
    context_tokens: int
    """The longest text it reads at once."""
    device: str
    precision: str
    has_template: bool
    """Whether it was taught to converse; a base model continues a text."""
    templates: tuple[str, ...] = ()
    """Names of its own chat templates."""
    step: int | None = None
    """Of a run's checkpoint, the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextTrimmed:
    """The oldest turns left the context; ``kept`` turns are what the model reads."""

    dropped: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextMeasured:
    """What a conversation takes of the context, before anything is generated. Units: tokens."""

    prompt_tokens: int
    """Of all messages, those that will be left out included."""
    context_tokens: int
    reply_tokens: int
    """Kept free for the reply."""
    dropped: int
    """How many messages will be left out, the oldest first, never a system message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptShown:
    """The exact prompt of a model: pieces of text, each with whether it is a control token."""

    pieces: tuple[tuple[str, bool], ...]
    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    """The text that each id stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyResumed:
    """A reply goes on after tokens that were given; the text that each of them completes."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A token that might have come. ``logprob`` is the model's own, before any setting."""

    token_id: int
    text: str
    logprob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGenerated:
    """One token. ``text`` is what it completes: "" while a character is unfinished.

    ``logprob``, ``entropy`` (nats) and ``alternatives`` (likeliest first, the chosen one among them
    if it is) are the model's own, before any setting; the last two come where they were asked for.
    """

    text: str
    token_id: int
    logprob: float
    entropy: float | None = None
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFinished:
    """A reply ended: at an end token or stop text, its length, the context, or by the person.

    ``text`` is the whole reply; ``tail`` its end, held back until it was sure. Of a reply that goes
    on after given tokens, ``text`` begins with theirs, which neither ``prompt_tokens`` nor
    ``new_tokens`` counts.
    """

    text: str
    tail: str
    reason: EndReason
    prompt_tokens: int
    new_tokens: int
    first_token_seconds: float
    tokens_per_second: float


GenerateEvent: TypeAlias = TokenGenerated | GenerationFinished
ChatEvent: TypeAlias = ContextTrimmed | ReplyResumed | TokenGenerated | GenerationFinished
LoadEvent: TypeAlias = StageAdvanced | Noticed | ModelLoaded

_OF_CHAT = by_name({*get_args(ChatEvent), *get_args(LoadEvent), ContextMeasured, PromptShown})


def chat_event(
    record: Mapping[str, Any],
) -> ChatEvent | LoadEvent | ContextMeasured | PromptShown | None:
    """What a model said, from its record; None for a kind this version does not know."""
    kind = _OF_CHAT.get(record.get("event", ""))
    event = build_event(kind, record) if kind is not None else None
    found: ChatEvent | LoadEvent | ContextMeasured | PromptShown | None = event
    return found
