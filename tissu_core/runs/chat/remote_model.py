"""A model in a process of its own, so that loading and computing never hold up a screen.

Imports no torch and little else: the first picture of a chat waits for it.
"""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import InputError
from tissu_core.events.replies import (
    ChatEvent,
    ContextMeasured,
    LoadEvent,
    ModelLoaded,
    PromptShown,
    chat_event,
)
from tissu_core.events.shared import StageAdvanced
from tissu_core.runs.chat.worker_process import WorkerProcess
from tissu_core.runs.wire import WINDOW, conversation_record, read_error
from tissu_core.text.chat_template import Message

_POLL_SECONDS = 0.02
_TAKEN_AT_ONCE = WINDOW // 4


class RemoteModel:
    """``ChatModel`` as ``ChatSession`` has it, computed by a child process.

    ``load`` starts the child, so that it does not import torch beside whoever draws a picture. If
    it ends, what is under way fails with a ``ResourceError``, and the next ``load`` starts another.
    """

    def __init__(
        self, model: str | None, machine: DeviceConfig, template: str | None = None
    ) -> None:
        self.model, self.machine, self.template = model, machine, template
        self._facts: ModelLoaded | None = None
        self._child: WorkerProcess | None = None

    @property
    def _process(self) -> WorkerProcess:
        if self._child is None:
            raise InputError("no model is loaded", hint="load one first")
        return self._child

    @property
    def facts(self) -> ModelLoaded | None:
        """What was loaded; None before, and when its process has ended."""
        return self._facts if self._child is not None and self._child.is_alive else None

    @property
    def pid(self) -> int:
        """The child's process id.

        Raises:
            InputError: If there is none yet.
        """
        return self._process.pid

    def log_tail(self) -> str:
        """The end of what the child wrote to stdout and stderr."""
        return self._child.log_tail() if self._child is not None else ""

    def load(self) -> Iterator[LoadEvent]:
        """Load MODEL, anew if it was loaded: a run that trains may have a newer checkpoint.

        Raises:
            TissuError: If there is none, or it cannot be read.
        """
        if self._child is None or not self._child.is_alive:
            self._end_child()
            self._child = WorkerProcess()
        yield StageAdvanced(stage="importing torch", done=0, total=0, unit="")
        asked = {"model": self.model, "template": self.template, "machine": asdict(self.machine)}
        for event in self._ask("load", asked):
            self._facts = event if isinstance(event, ModelLoaded) else None
            yield event

    def reply(
        self,
        messages: Sequence[Message],
        settings: DecodingConfig,
        stop: threading.Event,
        *,
        written: Sequence[int] | str = (),
    ) -> Iterator[ChatEvent]:
        """Answer the last message, or go on with the answer that is ``written``.

        Raises:
            TissuError: As ``ChatSession.reply``; and if the process ended.
        """
        yield from self._ask("reply", conversation_record(messages, settings, written), stop)

    def measure(self, messages: Sequence[Message], settings: DecodingConfig) -> ContextMeasured:
        """What these messages take of the context, and what would be left out."""
        measured: ContextMeasured = self._ask_once(
            "measure", conversation_record(messages, settings, ())
        )
        return measured

    def show_prompt(
        self,
        messages: Sequence[Message],
        settings: DecodingConfig,
        *,
        written: Sequence[int] | str = (),
    ) -> PromptShown:
        """The exact prompt that these messages make, without the turns that do not fit."""
        shown: PromptShown = self._ask_once(
            "show_prompt", conversation_record(messages, settings, written)
        )
        return shown

    def close(self) -> None:
        """End the child."""
        self._facts = None
        self._end_child()

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.close()

    def _ask_once(self, do: str, asked: dict[str, Any]) -> Any:
        (event,) = self._ask(do, asked)
        return event

    def _ask(
        self, do: str, asked: dict[str, Any], stop: threading.Event | None = None
    ) -> Iterator[Any]:
        """What the child says to a request, to its end."""
        process = self._process
        id, answers = process.ask({"do": do, **asked})
        is_stopping, taken = False, 0
        try:
            while True:
                if stop is not None and stop.is_set() and not is_stopping:
                    is_stopping = True
                    process.tell({"id": id, "do": "stop"})
                try:
                    answer = answers.get(timeout=_POLL_SECONDS if stop is not None else None)
                except queue.Empty:
                    continue
                if answer is None:
                    raise process.ended()
                if "error" in answer:
                    raise read_error(answer["error"])
                if "end" in answer:
                    return
                taken += 1
                if stop is not None and taken % _TAKEN_AT_ONCE == 0:
                    process.tell({"id": id, "do": "more", "count": _TAKEN_AT_ONCE})
                event = chat_event(answer["event"])
                if event is not None:
                    yield event
        finally:
            if process.forget(id):  # it was given up before its end
                process.tell({"id": id, "do": "stop"})
