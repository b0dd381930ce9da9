"""A prompt as a model reads it, for views that show what became of each token."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tissu_core.config.inspection import SpanConfig
from tissu_core.errors import ConfigError, InputError
from tissu_core.runs.tokenize.figures import written_id

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel


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
            hint="a shorter one",
        )
    return ReadPrompt(ids, tuple(written_id(tokenizer, id) for id in ids))


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
