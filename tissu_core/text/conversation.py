"""Conversations as ids: a tokenizer and its chat template together."""

from collections.abc import Iterator, Sequence
from typing import Any

from tissu_core.errors import InputError
from tissu_core.text import spelling
from tissu_core.text.chat_template import Message, Piece, render_chat, render_chat_spans
from tissu_core.text.special_tokens import CHATML, TURN_END, TURN_START
from tissu_core.text.tokenizer import Tokenizer


def with_chat_template(tokenizer: Tokenizer) -> Tokenizer:
    """This tokenizer, or if it has no template one with ChatML, whose control tokens it knows.

    Raises:
        InputError: If it does not know them.
    """
    if tokenizer.chat_template is not None:
        return tokenizer
    if not {TURN_START, TURN_END} <= tokenizer.control_tokens.keys():
        raise InputError(
            f"the model has no chat template, and no tokens {TURN_START} and {TURN_END} to "
            "converse with",
            hint="a chat model, or one that tissu trained; or put its chat_template.jinja "
            "beside its tokenizer",
        )
    return Tokenizer(tokenizer.backend, {**tokenizer.config, "chat_template": CHATML})


def encode_chat(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """Ids of a conversation in the model's template, ready for the reply.

    Raises:
        InputError: As ``render_chat``; and if the model has no template.
    """
    pieces = chat_pieces(tokenizer, messages)
    return [id for ids in _encode_pieces(tokenizer, pieces) for id in ids]


def encode_chat_spans(
    tokenizer: Tokenizer, messages: Sequence[Message]
) -> tuple[list[int], list[bool]]:
    """Ids of a whole conversation, and which of them the assistant writes.

    Raises:
        InputError: As ``render_chat_spans``; and if the model has no template.
    """
    pieces = [*render_chat_spans(_template(tokenizer), messages, *_controls(tokenizer))]
    marked = [
        (id, piece.is_assistant)
        for piece, ids in zip(pieces, _encode_pieces(tokenizer, pieces), strict=True)
        for id in ids
    ]
    return [id for id, _ in marked], [is_assistant for _, is_assistant in marked]


def chat_pieces(tokenizer: Tokenizer, messages: Sequence[Message]) -> list[Piece]:
    """The prompt that a conversation makes, control tokens told from text.

    Raises:
        InputError: As ``render_chat``; and if the model has no template.
    """
    return [*render_chat(_template(tokenizer), messages, *_controls(tokenizer))]


def _encode_pieces(tokenizer: Tokenizer, pieces: Sequence[Piece]) -> Iterator[list[int]]:
    """Ids of each piece.

    A control token of some models takes the white space beside it along (Phi-3's), and after
    one the text of some begins anew, with the space that begins every text (Llama 2's).
    """
    added = tokenizer.backend.get_added_tokens_decoder()
    sides = [added[tokenizer.control_tokens[p.text]] if p.is_control else None for p in pieces]
    begins_anew = spelling.prefixes_every_segment(tokenizer.backend)
    for number, (piece, before, after) in enumerate(
        zip(pieces, [None, *sides], [*sides[1:], None], strict=False)
    ):
        if piece.is_control:
            yield [tokenizer.control_tokens[piece.text]]
            continue
        text = piece.text.lstrip() if before and before.rstrip else piece.text
        text = text.rstrip() if after and after.lstrip else text
        yield tokenizer.encode(text, is_start=begins_anew or not number)


def _template(tokenizer: Tokenizer) -> str:
    if tokenizer.chat_template is None:
        raise InputError("this model has no chat template", hint="tissu generate")
    return tokenizer.chat_template


def _controls(tokenizer: Tokenizer) -> tuple[tuple[str, ...], dict[str, Any]]:
    return tuple(tokenizer.control_tokens), tokenizer.config
