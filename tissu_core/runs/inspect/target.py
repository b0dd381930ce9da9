"""What is to come after a prompt, as the ids that a model would write."""

from typing import TYPE_CHECKING

from tissu_core.errors import ConfigError, InputError

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel


def ways_to_write(loaded: "LoadedModel", prompt: str, ids: list[int], text: str) -> list[list[int]]:
    """The ids of a text that goes on after a prompt; first as it is, then as a new word.

    There is no second way where a space is there already, or none is usual.

    Raises:
        InputError: If there is no text, or the vocabulary cannot write it.
        ConfigError: If it does not fit behind the prompt.
    """
    if not text:
        raise InputError("the target is empty", hint='--target "blue", or leave it out')
    begins_word = not prompt[-1:].isspace() and text[0].isalnum()
    spelled = [text, f" {text}"] if begins_word else [text]
    tokenizer = loaded.tokenizer
    ways = [tokenizer.encode(each, is_start=False) for each in spelled]
    for way, each in zip(ways, spelled, strict=True):
        back = tokenizer.decode(way, is_start=False)
        is_lost = back != each if tokenizer.is_exact else "\ufffd" in back
        if not way or (is_lost and "\ufffd" not in each):
            raise InputError(
                f"the model's vocabulary cannot write the target {each!r}", hint="another target"
            )
    context = loaded.model.config.max_position_embeddings
    longest = len(ids) + max(map(len, ways)) - 1
    if longest > context:
        raise ConfigError(
            f"the prompt and the target are {longest:,} tokens, and the model reads {context:,} "
            "at once",
            field="target",
            hint="a shorter prompt",
        )
    unique = {tuple(way): way for way in ways}
    return [*unique.values()]


def neutral_id(loaded: "LoadedModel", text: str) -> int:
    """The id of the one token that stands where a word is away.

    Raises:
        ConfigError: If the text is none, or several.
    """
    ids = loaded.tokenizer.encode(text, is_start=False)
    if len(ids) == 1:
        return ids[0]
    alone = [id for id, piece in enumerate(loaded.tokenizer.pieces) if piece == text.encode()]
    if text and alone:
        return alone[0]
    raise ConfigError(
        f"--neutral is {text!r}, which is {len(ids)} tokens of this model, and it must be one",
        field="neutral",
        hint="--neutral .",
    )
