"""A model that says what a test wrote for it: the whole of ``ChatModel`` without torch."""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import TissuError
from tissu_core.events.replies import (
    Alternative,
    ChatEvent,
    ContextMeasured,
    ContextTrimmed,
    EndReason,
    GenerationFinished,
    LoadEvent,
    ModelLoaded,
    PromptShown,
    ReplyResumed,
    TokenGenerated,
)
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.runs.chat.model import Message


@dataclass(frozen=True)
class Asked:
    """What a reply was asked with."""

    messages: list[Message]
    settings: DecodingConfig
    written: list[int] | str


@dataclass
class ScriptedModel:
    """Each ``reply`` says the next of ``replies``, token by token; behind the last one, nothing.

    Tokens are counted as words. An id stands for the text that was said under it, so that a reply
    can go on behind the ids of the last one.
    """

    replies: Sequence[Sequence[str]] = ()
    name: str = "scripted"
    has_template: bool = True
    context_tokens: int = 1000
    step: int | None = None
    delay_seconds: float = 0
    """Before each token."""
    gate: threading.Event | None = None
    """Where given, a reply waits for it before the token ``gate_at``; ``stop`` still ends it."""
    gate_at: int = 0
    load_gate: threading.Event | None = None
    """Where given, loading waits for it half-way."""
    load_error: TissuError | None = None
    """Raised half-way through every load while it is set."""
    reply_error: TissuError | None = None
    """Raised by a reply instead of its token ``error_at``, while it is set."""
    error_at: int = 0
    notices: Sequence[Noticed] = ()
    facts: ModelLoaded | None = None
    asked: list[Asked] = field(default_factory=list)
    num_loads: int = 0
    is_closed: bool = False
    is_replying: threading.Event = field(default_factory=threading.Event)
    """Set from the first event of a reply to its end."""
    at_gate: threading.Event = field(default_factory=threading.Event)
    """Set once a reply waits at its gate."""
    _vocabulary: list[str] = field(default_factory=list)

    def load(self) -> Iterator[LoadEvent]:
        self.num_loads += 1
        self.facts = None
        yield StageAdvanced(stage="importing torch", done=0, total=0, unit="")
        yield StageAdvanced(stage="loading weights", done=50, total=100, unit="bytes")
        if self.load_gate is not None:
            self.load_gate.wait()
        if self.load_error is not None:
            raise self.load_error
        yield StageAdvanced(stage="loading weights", done=100, total=100, unit="bytes")
        yield from self.notices
        self.facts = ModelLoaded(
            name=self.name,
            path=f"/models/{self.name}",
            num_parameters=1_234_567,
            context_tokens=self.context_tokens,
            device="cpu",
            precision="fp32",
            has_template=self.has_template,
            templates=("default",) if self.has_template else (),
            step=self.step,
        )
        yield self.facts

    def reply(
        self,
        messages: Sequence[Message],
        settings: DecodingConfig,
        stop: threading.Event,
        *,
        written: Sequence[int] | str = (),
    ) -> Iterator[ChatEvent]:
        given = written if isinstance(written, str) else list(written)
        number = len(self.asked)
        self.asked.append(Asked(list(messages), settings, given))
        self.is_replying.set()
        try:
            measured = self.measure(messages, settings)
            if measured.dropped:
                kept = len(messages) - measured.dropped
                yield ContextTrimmed(dropped=measured.dropped, kept=kept)
            texts = self._texts(given)
            if texts:
                yield ReplyResumed(texts=texts)
            script = self.replies[number] if number < len(self.replies) else ()
            yield from self._say(script, "".join(texts), measured.prompt_tokens, settings, stop)
        finally:
            self.is_replying.clear()

    def _say(
        self,
        script: Sequence[str],
        text: str,
        prompt_tokens: int,
        settings: DecodingConfig,
        stop: threading.Event,
    ) -> Iterator[ChatEvent]:
        reason: EndReason = "stop"
        said = 0
        for token in script:
            if said == settings.max_tokens:
                reason = "length"
                break
            if self._is_stopped_before(said, stop):
                reason = "stopped"
                break
            if self.reply_error is not None and said == self.error_at:
                raise self.reply_error
            said += 1
            text += token
            yield self._token(token, settings)
        yield GenerationFinished(
            text=text,
            tail="",
            reason=reason,
            prompt_tokens=prompt_tokens,
            new_tokens=said,
            first_token_seconds=0.1,
            tokens_per_second=20.0,
        )

    def _is_stopped_before(self, number: int, stop: threading.Event) -> bool:
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        if self.gate is not None and number == self.gate_at:
            self.at_gate.set()
            while not self.gate.wait(0.005) and not stop.is_set():
                pass
            self.at_gate.clear()
        return stop.is_set()

    def _token(self, text: str, settings: DecodingConfig) -> TokenGenerated:
        id = self._id_of(text)
        others = [id, *(n for n in range(settings.top_logprobs) if n != id)]
        told = tuple(
            Alternative(
                token_id=other,
                text=self._vocabulary[other] if other < len(self._vocabulary) else f"w{other}",
                logprob=-0.5 - rank,
            )
            for rank, other in enumerate(others[: settings.top_logprobs])
        )
        return TokenGenerated(
            text=text,
            token_id=id,
            logprob=-0.5,
            entropy=math.log(2) if told else None,
            alternatives=told,
        )

    def _id_of(self, text: str) -> int:
        if text not in self._vocabulary:
            self._vocabulary.append(text)
        return self._vocabulary.index(text)

    def _texts(self, written: list[int] | str) -> tuple[str, ...]:
        if isinstance(written, str):
            return (written,) if written else ()
        return tuple(self._vocabulary[id] for id in written)

    def measure(self, messages: Sequence[Message], settings: DecodingConfig) -> ContextMeasured:
        context = min(settings.context_tokens or self.context_tokens, self.context_tokens)
        reply_tokens = min(settings.max_tokens, context // 2)
        counts = [len(message.content.split()) for message in messages]
        left, dropped = sum(counts), 0
        for message, count in zip(messages[:-1], counts, strict=False):
            if left <= context - reply_tokens:
                break
            if message.role != "system":
                left, dropped = left - count, dropped + 1
        return ContextMeasured(
            prompt_tokens=sum(counts),
            context_tokens=context,
            reply_tokens=reply_tokens,
            dropped=dropped,
        )

    def show_prompt(
        self,
        messages: Sequence[Message],
        settings: DecodingConfig,
        *,
        written: Sequence[int] | str = (),
    ) -> PromptShown:
        pieces = [
            piece
            for message in messages
            for piece in ((f"<|{message.role}|>", True), (message.content, False))
        ]
        pieces.append(("<|assistant|>", True))
        given = written if isinstance(written, str) else list(written)
        pieces += [(text, False) for text in self._texts(given)]
        tokens = tuple(text for text, _ in pieces)
        ids = tuple(self._id_of(text) for text in tokens)
        return PromptShown(pieces=tuple(pieces), ids=ids, tokens=tokens)

    def close(self) -> None:
        self.facts, self.is_closed = None, True
