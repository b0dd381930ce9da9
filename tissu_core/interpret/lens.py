"""The logit lens: what each layer's stream would say if it were the last.

Source: nostalgebraist 2020, "interpreting GPT: the logit lens".
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from tissu_core.compress.finite import require_finite
from tissu_core.events.views import LensAnswer, LensLayer, LensRead
from tissu_core.interpret.numbers import require_numbers
from tissu_core.models.decoder import Decoder
from tissu_core.models.observe import observe

_AT_ONCE = 256
"""Streams whose logits of the whole vocabulary are held, 150 MB of 150,000 tokens: a packed head is
unpacked for each product, so that 31 layers of SmolLM2 one by one take 10 times as long."""
Spell = Callable[[int], str]
"""The text of a token."""


@torch.inference_mode()
def read_lens(
    model: Decoder, ids: Tensor, span: range, top: int, spell: Spell
) -> tuple[list[LensLayer], list[LensAnswer]]:
    """What is read of every layer's stream, and where the model's own answer is found in them.

    A stream goes through the final norm, the head and the cap: the last one gives the model's own
    logits.

    Shapes: ids (1, T).

    Raises:
        InputError: If a weight is no number.
    """
    require_finite(model, "spoils all that comes behind it")
    streams = see_streams(model.eval(), ids, span)
    reads: dict[str, list[LensRead]] = {name: [] for name in streams}
    at_once = max(1, _AT_ONCE // len(streams))
    for rows in torch.split(torch.stack([*streams.values()]), at_once, dim=1):
        found = log_shares(model, rows)
        for name, row in zip(streams, found, strict=True):
            require_numbers(row, f"layer {name}", model)
            reads[name] += _read(row, found[-1], top, spell)
    layers = [LensLayer(name=name, reads=tuple(row)) for name, row in reads.items()]
    return layers, [_answer(layers, place) for place in range(len(span))]


def see_streams(model: Decoder, ids: Tensor, span: range) -> dict[str, Tensor]:
    """What enters the first layer, and what leaves each: (N, C) of the N tokens of ``span``."""
    shown = slice(span.start, span.stop)
    streams = {"embed": model.model.embed_rows(ids, slice(0, ids.shape[1]))[0, shown]}
    names = {f"model.layers.{index}": str(index) for index in range(len(model.model.layers))}

    def keep(name: str, stream: Tensor) -> None:
        streams[name] = stream[0, shown].clone()

    wanted = {path: lambda x, name=name: keep(name, x) for path, name in names.items()}
    with observe(model, wanted):
        model.model(ids)
    return streams


def log_shares(model: Decoder, streams: Tensor) -> Tensor:
    """Log p of every token, as if streams (..., C) were the last: (..., V) in fp32."""
    return model.to_logits(model.model.norm(streams)).float().log_softmax(-1)


def _read(found: Tensor, final: Tensor, top: int, spell: Spell) -> list[LensRead]:
    answers = final.argmax(-1, keepdim=True)
    own = found.gather(-1, answers)
    ranks = (found > own).sum(-1) + 1
    divergence = (final.exp() * (final - found)).sum(-1) / math.log(2)
    best = found.topk(min(top, found.shape[1]))
    columns = zip(
        best.indices.tolist(),
        best.values.exp().tolist(),
        own[:, 0].exp().tolist(),
        ranks.tolist(),
        divergence.clamp(min=0).tolist(),
        strict=True,
    )
    return [
        LensRead(
            tokens=tuple(map(spell, tokens)),
            probabilities=tuple(shares),
            answer_probability=share,
            answer_rank=rank,
            kl=kl,
        )
        for tokens, shares, share, rank, kl in columns
    ]


def _answer(layers: list[LensLayer], place: int) -> LensAnswer:
    is_first = [layer.reads[place].answer_rank == 1 for layer in layers]
    stays = max((n + 1 for n, is_found in enumerate(is_first) if not is_found), default=0)
    last = layers[-1].reads[place]
    return LensAnswer(
        token=last.tokens[0],
        probability=last.probabilities[0],
        first_layer=layers[is_first.index(True)].name,
        stays_layer=layers[stays].name,
    )
