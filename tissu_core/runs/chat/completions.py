"""The verb generate on a file of prompts: a line of output for each, in the order of the file."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tissu_core.config.use import GenerateRun
from tissu_core.data.prompts import Prompt, iter_prompts
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.replies import GenerateEvent, TokenGenerated
from tissu_core.events.shared import Noticed
from tissu_core.runs.catalog import find_model
from tissu_core.storage import append_text, guard_write
from tissu_core.text.chat_template import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCompleted:
    """A prompt has its reply: a line of output, JSON values by name."""

    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionsAdvanced:
    """How far a file of prompts is; ``new_tokens`` and ``seconds`` are of this process."""

    done: int
    total: int
    new_tokens: int
    seconds: float


CompletionEvent: TypeAlias = PromptCompleted | CompletionsAdvanced | Noticed


def complete_prompts(
    path: Path,
    out: Path | None,
    model: str | None,
    run: GenerateRun,
    stop: threading.Event,
    *,
    is_resumed: bool = False,
) -> Iterator[CompletionEvent]:
    """Continue or answer each prompt of a file, several at once, in lines of ``out``, if given.

    The line of a prompt that fills the context, or that the model's template refuses, holds an
    error instead of a text. ``stop`` gives up what is under way. ``is_resumed`` keeps the finished
    lines of ``out`` and goes on behind them.

    Raises:
        InputError: If a line is bad, before any work; if there is no prompt, or none that fits; if
            ``out`` has lines that are not of these prompts.
        ConfigError: If ``out`` is not empty and not to be resumed.
        ResourceError: If the disk takes no more; the finished lines stay.
    """
    total = sum(1 for _ in iter_prompts(path))
    if not total:
        raise InputError(f"{path} holds no prompt", hint="one prompt a line")
    find_model(model)
    finished = [] if out is None else _finished_lines(out, path, is_resumed=is_resumed)
    failed = sum(finished)
    from tissu_core.runs.chat.session import open_chat

    session = open_chat(model, run.machine)
    yield from session.notices
    work = _Work(len(finished), total)
    replies = session.complete_all(
        work.prompts(path), run.decoding, run.prompts.batch_size, stop, work.refuse
    )
    for event in work.events(replies):
        if isinstance(event, PromptCompleted):
            failed += "error" in event.record
            if out is not None:
                append_text(out, json.dumps(event.record, ensure_ascii=False) + "\n")
        yield event
    if failed == total:
        raise InputError(
            f"none of the prompts of {path} has a reply",
            safe="a line for each, which says why",
            hint="shorter prompts, or a model with a longer context",
        )
    if failed:
        text = f"{failed:,} of {total:,} prompts have no reply: their lines hold an error"
        yield Noticed(level="warning", text=text)


class _Work:
    """Which prompts are under way, which are done before their turn, and how many are out."""

    def __init__(self, first: int, total: int) -> None:
        self._first = self._done = first
        self._total, self._tokens = total, 0
        self._under_way: dict[int, Prompt] = {}
        self._waiting: dict[int, dict[str, Any]] = {}
        self._began = time.perf_counter()

    def prompts(self, path: Path) -> Iterator[tuple[int, str | list[Message]]]:
        """The prompts that are not done, read when there is room for them."""
        for index, prompt in enumerate(iter_prompts(path)):
            if index >= self._first:
                self._under_way[index] = prompt
                yield index, prompt.read()

    def refuse(self, index: int, error: InputError) -> None:
        """A prompt that cannot be continued is done."""
        self._finish(index, error=error.message)

    def events(
        self, replies: Iterator[tuple[int, GenerateEvent]]
    ) -> Iterator[PromptCompleted | CompletionsAdvanced]:
        """The lines in their order, and how far the work is."""
        for index, event in replies:
            if isinstance(event, TokenGenerated):
                self._tokens += 1
            elif event.reason != "stopped":
                facts = {"tokens": event.new_tokens, "reason": event.reason}
                self._finish(index, text=event.text, **facts)
            yield from self._in_turn()
        yield from self._in_turn()

    def _finish(self, index: int, **facts: Any) -> None:
        prompt = self._under_way.pop(index)
        self._waiting[index] = {prompt.key: prompt.given, **facts, **prompt.carried}

    def _in_turn(self) -> Iterator[PromptCompleted | CompletionsAdvanced]:
        while self._done in self._waiting:
            record = self._waiting.pop(self._done)
            self._done += 1
            yield PromptCompleted(record=record)
        yield CompletionsAdvanced(
            done=self._done,
            total=self._total,
            new_tokens=self._tokens,
            seconds=time.perf_counter() - self._began,
        )


def _finished_lines(out: Path, path: Path, *, is_resumed: bool) -> list[bool]:
    """Whether each finished line of ``out`` holds an error; half a line at its end is cut off."""
    with guard_write(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.touch()
        is_begun = out.stat().st_size > 0
    if not is_begun:
        return []
    if not is_resumed:
        raise ConfigError(
            f"{out} is not empty", field="out", hint="--resume to go on with it, or another -o"
        )
    finished, length, prompts = [], 0, iter_prompts(path)
    with guard_write(out), out.open("rb+") as file:
        for number, line in enumerate(file, 1):
            begins = _beginnings(next(prompts, None))
            if not any(line.startswith(begin) or begin.startswith(line) for begin in begins):
                raise InputError(
                    f"{out}:{number} is not what follows prompt {number} of {path}",
                    hint="another -o",
                )
            if line.endswith(b"\n"):
                finished.append(line.startswith(begins[1]))
                length += len(line)
        file.truncate(length)
    return finished


def _beginnings(prompt: Prompt | None) -> list[bytes]:
    """How the line of a prompt begins, with a text and with an error."""
    if prompt is None:
        return []
    start = json.dumps({prompt.key: prompt.given}, ensure_ascii=False).removesuffix("}")
    return [f'{start}, "{name}": '.encode() for name in ("text", "error")]
