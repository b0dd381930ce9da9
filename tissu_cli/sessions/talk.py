"""Holding a conversation: what is kept before a model is asked, and what it is asked.

The screen and the plain mode both talk through this. Turns are made where the person acts;
``run`` may go on in another thread, and is the only one that changes the turn it writes.
"""

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tissu_cli.sessions.chat_settings import changed_fields, with_overrides
from tissu_cli.sessions.conversation import Conversation, State, Turn
from tissu_cli.sessions.history import History
from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import InputError
from tissu_core.events.replies import (
    Alternative,
    ChatEvent,
    ContextMeasured,
    ContextTrimmed,
    EndReason,
    GenerationFinished,
    PromptShown,
    ReplyResumed,
    TokenGenerated,
)
from tissu_core.runs.chat.model import ChatModel, Message

_FLUSH_SECONDS = 1.0
_SEEDS = 100_000  # short enough to be read and typed again
_STATES: dict[EndReason, State] = {
    "stop": "done",
    "stopped": "stopped",
    "length": "cut",
    "context": "cut",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyJob:
    """A reply to be written, and all that it needs."""

    turn: Turn
    messages: tuple[Message, ...]
    settings: DecodingConfig
    written: tuple[int, ...] | str = ()
    is_new: bool = True
    """Whether the turn begins here; else it goes on."""


class Talk:
    """A conversation with a model, whose every turn is kept."""

    def __init__(
        self,
        model: ChatModel,
        history: History,
        conversation: Conversation,
        base: DecodingConfig,
        *,
        top_logprobs: int = 0,
    ) -> None:
        self.model = model
        self.history = history
        self.conversation = conversation
        self._top_logprobs = top_logprobs
        self._base = self._with_logprobs(base)
        self._unsaved: list[Turn] = []

    def _with_logprobs(self, settings: DecodingConfig) -> DecodingConfig:
        return replace(settings, top_logprobs=max(settings.top_logprobs, self._top_logprobs))

    def use_settings(self, base: DecodingConfig) -> None:
        """Decode so from now on, where the conversation has no settings of its own."""
        self._base = self._with_logprobs(base)

    def use_model(self, model: ChatModel, name: str) -> None:
        """Ask another model from now on."""
        self.model, self.conversation.model = model, name
        self.keep()

    def with_conversation(self, conversation: Conversation) -> "Talk":
        """The same model and history, another conversation."""
        talk = Talk(
            self.model, self.history, conversation, self._base, top_logprobs=self._top_logprobs
        )
        conversation.model = conversation.model or self.conversation.model
        return talk

    def beside(self, model: ChatModel) -> "Talk":
        """The same conversation with another model."""
        return Talk(model, self.history, self.conversation, self._base)

    @property
    def settings(self) -> DecodingConfig:
        """How the next reply is decoded."""
        return with_overrides(self._base, self.conversation.settings)

    def override(self, name: str, value: object) -> None:
        """Set a setting of this conversation; None takes back what was set here.

        Raises:
            ConfigError: If the settings would not do.
        """
        overrides = {**self.conversation.settings, name: value}
        if value is None:
            del overrides[name]
        with_overrides(self._base, overrides)
        self.conversation.settings = overrides
        self.keep()

    def keep(self) -> None:
        """Keep what belongs to the conversation as a whole, once it has a turn."""
        if self.conversation.turns:
            self.history.save(self.conversation)

    @property
    def last_reply(self) -> Turn | None:
        """The reply at the end of the path, if it ends with one."""
        path = self.conversation.path()
        return path[-1] if path and path[-1].role == "assistant" else None

    def say(self, text: str) -> Turn:
        """A new turn of the person, behind the path."""
        return self._add(Turn(parent=self.conversation.leaf, role="user", text=text))

    def edit(self, turn: Turn, text: str) -> Turn:
        """Another text in a turn's place; what was there stays as its sibling."""
        edited = Turn(parent=turn.parent, role=turn.role, model=turn.model, text=text)
        return self._add(edited)

    def _add(self, turn: Turn) -> Turn:
        self._unsaved.append(turn)
        return self.conversation.add(turn)

    def answer(self, *, settings: DecodingConfig | None = None) -> ReplyJob:
        """A reply to the turn that the path ends with; to a reply, another one in its place.

        Raises:
            InputError: If there is nothing to answer.
        """
        path = self.conversation.path()
        if path and path[-1].role == "assistant":
            path.pop()
        if not path:
            raise InputError("there is nothing to answer yet", hint="type a message first")
        return self._job(path[-1].id, settings or self.settings)

    def go_on(self, reply: Turn) -> ReplyJob:
        """The same reply, from where it ended."""
        return ReplyJob(
            turn=reply,
            messages=tuple(self.conversation.messages(reply.parent)),
            settings=self._seeded(self.settings, reply.parent),
            written=_written(reply),
            is_new=False,
        )

    def answer_from(self, reply: Turn, index: int, choice: Alternative) -> ReplyJob:
        """A sibling of a reply that has another token at ``index``, and goes on from there."""
        job = self._job(reply.parent, self.settings)
        chosen = TokenGenerated(
            text=choice.text,
            token_id=choice.token_id,
            logprob=choice.logprob,
            entropy=reply.tokens[index].entropy,
            alternatives=reply.tokens[index].alternatives,
        )
        job.turn.tokens = [*reply.tokens[:index], chosen]
        return replace(job, written=_written(job.turn))

    def answer_alike(self, reply: Turn) -> ReplyJob:
        """A reply to the same prompt with the settings and the seed of another one."""
        settings = with_overrides(self._base, reply.settings)
        turn = Turn(parent=reply.parent, role="assistant", state="writing", model=self.model_name)
        turn.settings = dict(reply.settings)
        self.conversation.add(turn)
        messages = tuple(self.conversation.messages(reply.parent))
        return ReplyJob(turn=turn, messages=messages, settings=settings)

    def _job(self, parent: str | None, settings: DecodingConfig) -> ReplyJob:
        seeded = self._seeded(settings, parent)
        turn = Turn(parent=parent, role="assistant", state="writing", model=self.model_name)
        turn.settings = changed_fields(seeded)
        self.conversation.add(turn)
        messages = tuple(self.conversation.messages(parent))
        return ReplyJob(turn=turn, messages=messages, settings=seeded)

    def _seeded(self, settings: DecodingConfig, parent: str | None) -> DecodingConfig:
        """With the seed that will be drawn from, so that it can be told and repeated.

        A seed that was given is that of the first reply; each further try at one has the next.
        """
        if settings.seed is None:
            return replace(settings, seed=secrets.randbelow(_SEEDS))
        tries = [turn for turn in self.conversation.turns.values() if turn.parent == parent]
        return replace(settings, seed=settings.seed + len(tries))

    @property
    def model_name(self) -> str:
        """What the model is called."""
        facts = self.model.facts
        return facts.name if facts is not None else self.conversation.model

    def run(self, job: ReplyJob, stop: threading.Event) -> Iterator[ChatEvent]:
        """Write the reply. What was said is kept before, and the reply each second.

        Raises:
            TissuError: What the model or the disk refuses; the turn keeps what it has, as failed.
        """
        turn = job.turn
        turn.model = self.model_name
        try:
            self.keep_turns()
            if job.is_new:
                self.history.add(self.conversation, turn)
            yield from self._write(job, stop)
        finally:
            if turn.state == "writing":  # an error, or nobody listens any more
                turn.state = "failed"
                self.history.finish(self.conversation, turn)

    def give_up(self, job: ReplyJob) -> None:
        """Stop a reply before it began: the model is not asked, and need not be there."""
        self.keep_turns()
        if job.is_new:
            job.turn.state = "stopped"
            self.history.finish(self.conversation, job.turn)

    def drop_unsaid(self, reply: Turn) -> bool:
        """Take back a reply that was stopped before its first word; whether it was one.

        It stays where it is the only reply to its message: that is where a person can go on.
        """
        if reply.state != "stopped" or reply.text or not self.conversation.remove(reply):
            return False
        self.history.forget(self.conversation, reply)
        return True

    def keep_turns(self) -> None:
        """Keep the turns that were made since the last time."""
        while self._unsaved:
            self.history.add(self.conversation, self._unsaved[0])
            self._unsaved.pop(0)

    def _write(self, job: ReplyJob, stop: threading.Event) -> Iterator[ChatEvent]:
        turn, pending = job.turn, list[TokenGenerated]()
        turn.state, last = "writing", time.monotonic()
        for event in self.model.reply(job.messages, job.settings, stop, written=job.written):
            match event:
                case ContextTrimmed():
                    pass
                case ReplyResumed():
                    turn.tokens = _with_texts(turn.tokens, event.texts)
                    turn.text = "".join(event.texts)
                case TokenGenerated():
                    turn.tokens.append(event)
                    turn.text += event.text
                    pending.append(event)
                case GenerationFinished():
                    turn.text, turn.end, turn.state = event.text, event, _STATES[event.reason]
            if time.monotonic() - last >= _FLUSH_SECONDS or turn.state != "writing":
                self.history.append(self.conversation, turn, pending)
                pending, last = [], time.monotonic()
            yield event
        self.history.finish(self.conversation, turn)

    def measure(self, draft: str) -> ContextMeasured:
        """What the path and a draft behind it take of the context."""
        return self.model.measure(self._messages_with(draft), self.settings)

    def show_prompt(self, draft: str = "") -> PromptShown:
        """The exact prompt of the reply that comes next, or of the one that the path ends with."""
        path = self.conversation.path()
        if not draft and path and path[-1].role == "assistant":
            messages: Sequence[Message] = self.conversation.messages(path[-1].parent)
        else:
            messages = self._messages_with(draft)
        return self.model.show_prompt(messages, self.settings)

    def _messages_with(self, draft: str) -> list[Message]:
        messages = self.conversation.messages(self.conversation.leaf)
        return [*messages, Message(role="user", content=draft)] if draft else messages


def _written(reply: Turn) -> tuple[int, ...] | str:
    """A reply's ids, or its text where not every one is known."""
    ids = tuple(token.token_id for token in reply.tokens)
    return reply.text if not ids or min(ids) < 0 else ids


def _with_texts(tokens: Sequence[TokenGenerated], texts: Sequence[str]) -> list[TokenGenerated]:
    """Tokens with what each completes where they now stand; text of unknown ids is one token."""
    if len(tokens) == len(texts):
        return [replace(token, text=text) for token, text in zip(tokens, texts, strict=True)]
    return [TokenGenerated(text="".join(texts), token_id=-1, logprob=0.0)]
