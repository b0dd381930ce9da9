"""A prompt as a model reads it, or a text in its place, for views of what is made of tokens."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.config.inspection import SpanConfig
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.runs.models.calibration import read_windows
from tissu_core.runs.tokenize.figures import written_id

if TYPE_CHECKING:
    from torch import Tensor

    from tissu_core.checkpoint.model_directory import LoadedModel

_WINDOW = 256
"""Tokens of a text that are read at once."""


@dataclass(frozen=True, slots=True)
class ReadPrompt:
    """The ids of a prompt behind the token that begins a text, and how each is written."""

    ids: list[int]
    tokens: tuple[str, ...]


def read_prompt(loaded: "LoadedModel", text: str) -> ReadPrompt:
    """The ids that a model reads of a text.

    Raises:
        InputError: If there is no text.
        ConfigError: If it is longer than the model's context.
    """
    tokenizer, context = loaded.tokenizer, loaded.model.config.max_position_embeddings
    own = tokenizer.encode(text)
    if not own:
        raise InputError("the prompt is empty", hint='-p "The sky is"')
    ids = [tokenizer.start_id, *own]
    if len(ids) > context:
        raise ConfigError(
            f"the prompt is {len(ids):,} tokens, and the model reads {context:,} at once",
            field="prompt",
            hint="leave words out at its end, or name a model with a longer context",
        )
    return ReadPrompt(ids, tuple(written_id(tokenizer, id) for id in ids))


def require_text(prompt: str | None, data: DataConfig) -> None:
    """Refuse to read neither a prompt nor the corpus of ``data``, or both.

    Raises:
        ConfigError: Says how to name one.
    """
    if (prompt is None) == (not data.corpus):
        raise ConfigError(
            "there is nothing to read" if prompt is None else "-p and --text are both there",
            field="prompt",
            hint='-p "The sky is", or --text DATA',
        )


def read_rows(
    loaded: "LoadedModel", prompt: str | None, data: DataConfig, windows: int
) -> Generator[StageAdvanced | Noticed | FileSkipped, None, list["Tensor"]]:
    """Rows of ids (1, T): the prompt, or up to so many windows spread over the corpus of ``data``.

    Raises:
        InputError: If there is no text, or it cannot be read.
        ConfigError: If the prompt is longer than the model's context.
    """
    import torch

    if prompt is not None:
        return [torch.tensor([read_prompt(loaded, prompt).ids], device=loaded.model.device)]
    window = min(_WINDOW, loaded.model.config.max_position_embeddings)
    rows, _ = yield from read_windows(loaded, data, window, windows, fewest=2)
    if not rows:
        raise InputError("the text has no two tokens in a row", hint="--text with more of it")
    return rows


def find_span(asked: SpanConfig, num_tokens: int) -> tuple[int, int]:
    """The first and last token asked for, of a prompt of so many.

    Raises:
        ConfigError: If the prompt has no such token.
    """
    last = num_tokens - 1
    for flag, number in (("--from", asked.first), ("--to", asked.last)):
        if number is not None and number > last:
            raise out_of_range(flag, number, f"the prompt has tokens 0 to {last}", last)
    return asked.first or 0, last if asked.last is None else asked.last


def out_of_range(flag: str, number: int, there_are: str, last: int) -> ConfigError:
    """The error for a number of something of which there are fewer."""
    return ConfigError(
        f"{flag} {number}: {there_are}", field=flag.removeprefix("--"), hint=f"{flag} {last}"
    )
