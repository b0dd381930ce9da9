"""The decode loop: read each prompt once, then one token of every row at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import torch

from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.batch import AnyRow, Batch
from tissu_core.decoding.reply import Reply
from tissu_core.decoding.row import Choice
from tissu_core.events.replies import GenerateEvent
from tissu_core.models.decoder import Decoder
from tissu_core.text.tokenizer import Tokenizer


def generate(
    model: Decoder,
    tokenizer: Tokenizer,
    prompt_ids: Sequence[int],
    config: DecodingConfig,
    *,
    end_ids: frozenset[int],
    should_stop: Callable[[], bool] = bool,
    is_healed: bool = False,
) -> Iterator[GenerateEvent]:
    """Continue a prompt. The texts of all tokens and the tail, joined, are the whole reply.

    ``is_healed`` lets the first token complete the prompt's last one; for plain text.

    Raises:
        InputError: If the prompt fills the context.
        ConfigError: If the settings name an unknown token, or leave none to choose.
    """
    context = context_of(model, config)
    reply = Reply(tokenizer, prompt_ids, config, context, end_ids=end_ids, is_healed=is_healed)
    yield from generate_reply(model, reply, should_stop=should_stop)


def generate_reply(
    model: Decoder, reply: Reply, *, should_stop: Callable[[], bool] = bool
) -> Iterator[GenerateEvent]:
    """Write one reply to its end."""
    if reply.is_done:  # what was written of it holds a stop text
        yield reply.finish()
        return
    for _, event in generate_all(model, [reply], should_stop=should_stop):
        yield event


def context_of(model: Decoder, config: DecodingConfig) -> int:
    """How many tokens may be read and written at once."""
    most = model.config.max_position_embeddings
    return min(config.context_tokens or most, most)


def generate_all(
    model: Decoder,
    replies: Iterable[Reply],
    *,
    batch_size: int = 1,
    should_stop: Callable[[], bool] = bool,
) -> Iterator[tuple[Reply, GenerateEvent]]:
    """Write many replies, each as if it were alone, ``batch_size`` at once.

    ``should_stop`` ends the reply that is being written, and gives up those beside it.
    """
    for reply, choice in decode(model, replies, batch_size):
        event = reply.take(choice)
        if event is not None:
            yield reply, event
        is_stopped = not reply.is_done and should_stop()
        if is_stopped:
            reply.end("stopped")
        if reply.is_done:
            yield reply, reply.finish()
        if is_stopped:
            return


@torch.inference_mode()
def decode(
    model: Decoder, rows: Iterable[AnyRow], batch_size: int = 1
) -> Iterator[tuple[AnyRow, Choice]]:
    """Tokens of up to ``batch_size`` rows in turn; the next row takes the place of one done.

    Where a text's length says how all of it is rotated, each row is read alone.
    """
    batch_size = 1 if model.rotates_by_length else batch_size
    waiting, batch = iter(rows), Batch[AnyRow](model)
    while True:
        batch.join([*islice(waiting, batch_size - len(batch.rows))])
        if not batch.rows:
            return
        for row, logits in zip(batch.rows, batch.logits, strict=True):
            yield row, row.choose(logits)
        batch.step()
