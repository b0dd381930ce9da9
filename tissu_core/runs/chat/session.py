"""A model in this process: what generate and chat talk to."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import InputError
from tissu_core.events.replies import (
    ChatEvent,
    ContextMeasured,
    ContextTrimmed,
    GenerateEvent,
    LoadEvent,
    ModelLoaded,
    PromptShown,
    ReplyResumed,
)
from tissu_core.events.shared import Noticed, StageAdvanced
from tissu_core.models.count import num_parameters
from tissu_core.runs.catalog import find_model
from tissu_core.runs.chat.prompts import Prompts
from tissu_core.runs.enough_memory import enough_memory
from tissu_core.runs.models.store import name_of
from tissu_core.runs.run_directory import run_of, step_of
from tissu_core.text.chat_template import Message, Piece

__all__ = ["ChatSession", "Message", "Piece", "open_chat"]

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.decoding.reply import Reply

_enough_memory = partial(enough_memory, safe="the conversation")


class ChatSession:
    """One model that answers conversations, as ``ChatModel`` has it.

    ``model`` is what ``find_model`` takes, ``template`` another chat template: one of the model's
    own by its name, or a file. They and ``machine`` may be changed, for the next ``load``.
    """

    def __init__(
        self, model: str | None, machine: DeviceConfig, template: str | None = None
    ) -> None:
        self.model, self.template = model, template
        self.machine = machine
        self._now: tuple[LoadedModel, Prompts] | None = None
        self._facts: ModelLoaded | None = None
        self._leases = ExitStack()

    @property
    def facts(self) -> ModelLoaded | None:
        """What was loaded; None before."""
        return self._facts

    @property
    def path(self) -> Path:
        """The directory of the model."""
        return self._loaded.path

    @property
    def name(self) -> str:
        """What a person calls it: its run, or its name in the store."""
        run = run_of(self.path)
        return name_of(self.path) if run is None else run.name

    @property
    def has_template(self) -> bool:
        """Whether the model was taught to converse."""
        return self._prompts.has_template

    @property
    def notices(self) -> tuple[Noticed, ...]:
        """What a person should know of the model."""
        return self._loaded.notices

    @property
    def _loaded(self) -> "LoadedModel":
        return self._ready()[0]

    @property
    def _prompts(self) -> Prompts:
        return self._ready()[1]

    def _ready(self) -> tuple["LoadedModel", Prompts]:
        if self._now is None:
            raise InputError("no model is loaded", hint="load one first")
        return self._now

    def load(self) -> Iterator[LoadEvent]:
        """Load MODEL. The one before is let go as soon as it is sure that there is another.

        Raises:
            TissuError: If there is none, or it cannot be read.
        """
        find_model(self.model)  # what is not there is said before torch is imported
        self.close()
        yield StageAdvanced(stage="importing torch", done=0, total=0, unit="")
        from tissu_core.runs.loading import iter_load, made_to_decode

        with _enough_memory(
            "to load the model", hint="a smaller model, or tissu quantize makes it so"
        ):
            loaded = yield from iter_load(self.model, self.machine, self._leases)
            loaded = made_to_decode(loaded)
        prompts = Prompts(loaded.tokenizer, loaded.model.config.max_position_embeddings)
        self._now = loaded, prompts
        if self.template is not None:
            prompts.use_template(self.template)
        yield from loaded.notices
        self._facts = self._describe()
        yield self._facts

    def _describe(self) -> ModelLoaded:
        from tissu_core.models.packed import packing_of
        from tissu_core.runtime.device import describe_device

        model, tokenizer = self._loaded.model, self._loaded.tokenizer
        has_template, templates = True, tuple[str, ...]()
        with suppress(InputError):  # what is broken is said when it is used
            has_template = self.has_template
            templates = tuple(tokenizer.chat_templates)
        return ModelLoaded(
            name=self.name,
            path=str(self.path),
            num_parameters=num_parameters(model.config),
            context_tokens=model.config.max_position_embeddings,
            device=describe_device(model.device),
            precision=packing_of(model) or "fp32",
            has_template=has_template,
            templates=templates,
            step=step_of(self.path),
        )

    def measure(self, messages: Sequence[Message], settings: DecodingConfig) -> ContextMeasured:
        """What these messages take of the context, and what would be left out."""
        return self._prompts.measure(messages, settings)

    def show_prompt(
        self,
        messages: Sequence[Message],
        settings: DecodingConfig,
        *,
        written: Sequence[int] | str = (),
    ) -> PromptShown:
        """The exact prompt that these messages make, without the turns that do not fit."""
        return self._prompts.show(messages, settings, written)

    def reply(
        self,
        messages: Sequence[Message],
        settings: DecodingConfig,
        stop: threading.Event,
        *,
        written: Sequence[int] | str = (),
    ) -> Iterator[ChatEvent]:
        """Answer the last message, or go on with the answer that is ``written``.

        When prompt and reply would not fit the context, the oldest turns go first, never a system
        message, and a ``ContextTrimmed`` says how many.

        Raises:
            InputError: If the last message alone fills the context.
            OutOfMemoryError: If there is not enough memory.
        """
        prompts = self._prompts
        begun = prompts.written_ids(written)
        kept = prompts.fit(messages, settings, len(begun))
        if len(kept) < len(messages):
            yield ContextTrimmed(dropped=len(messages) - len(kept), kept=len(kept))
        # What a person wrote was not chosen to complete the prompt's last token.
        is_healed = not self.has_template and not (begun and isinstance(written, str))
        reply = self._begin(prompts.ids(kept), settings, is_healed=is_healed, written=begun)
        if begun:
            yield ReplyResumed(texts=reply.written_texts)
        yield from self._write(reply, settings, stop)

    def complete(
        self, prompt: str, settings: DecodingConfig, stop: threading.Event
    ) -> Iterator[GenerateEvent]:
        """Continue a text as it is, without a template.

        Raises:
            InputError: If the text fills the context.
            OutOfMemoryError: If there is not enough memory.
        """
        reply = self._begin(self._prompts.text_ids(prompt), settings, is_healed=True)
        yield from self._write(reply, settings, stop)

    def _begin(
        self,
        ids: Sequence[int],
        settings: DecodingConfig,
        *,
        is_healed: bool,
        index: int = 0,
        written: Sequence[int] = (),
    ) -> "Reply":
        from tissu_core.decoding.generate import context_of
        from tissu_core.decoding.reply import Reply

        loaded = self._loaded
        return Reply(
            loaded.tokenizer,
            ids,
            settings,
            context_of(loaded.model, settings),
            end_ids=loaded.end_ids,
            index=index,
            is_healed=is_healed,
            written=written,
        )

    def _write(
        self, reply: "Reply", settings: DecodingConfig, stop: threading.Event
    ) -> Iterator[GenerateEvent]:
        from tissu_core.decoding.generate import context_of, generate_reply

        model = self._loaded.model
        smaller = max(1, context_of(model, settings) // 2)
        hint = f"--context {smaller}; in a conversation: /set context_tokens {smaller}"
        with _enough_memory("for this reply", hint=hint):
            yield from generate_reply(model, reply, should_stop=stop.is_set)

    def complete_all(
        self,
        prompts: Iterable[tuple[int, str | Sequence[Message]]],
        settings: DecodingConfig,
        batch_size: int,
        stop: threading.Event,
        on_refused: Callable[[int, InputError], None],
    ) -> Iterator[tuple[int, GenerateEvent]]:
        """Continue texts or answer conversations, ``batch_size`` at once, each as if alone.

        Events come with the number of their prompt. One that fills the context, or that the
        template refuses, goes to ``on_refused``; ``stop`` gives up those under way.
        """
        from tissu_core.decoding.generate import generate_all

        made = self._prompts

        def replies() -> Iterator["Reply"]:
            for index, prompt in prompts:
                try:
                    if isinstance(prompt, str):
                        ids, is_healed = made.text_ids(prompt), True
                    else:
                        ids, is_healed = made.ids(prompt), not self.has_template
                    reply = self._begin(ids, settings, is_healed=is_healed, index=index)
                except InputError as error:
                    on_refused(index, error)
                else:
                    yield reply

        for reply, event in generate_all(
            self._loaded.model, replies(), batch_size=batch_size, should_stop=stop.is_set
        ):
            yield reply.index, event

    def close(self) -> None:
        """Let the model go."""
        self._now = self._facts = None
        self._leases.close()


def open_chat(model: str | None, machine: DeviceConfig, template: str | None = None) -> ChatSession:
    """Load a model by path, run, stored name, or the newest.

    Raises:
        TissuError: If there is none, or it cannot be read.
    """
    session = ChatSession(model, machine, template)
    for _ in session.load():
        pass
    return session
