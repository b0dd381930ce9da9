"""What fewer bits would cost each layer of a model, without packing any."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from tissu_core.compress.groups import choose_levels, restored, round_to
from tissu_core.events.measures import LayerRounded
from tissu_core.models.decoder import Decoder
from tissu_core.models.packed import share_tied
from tissu_core.models.score import Score, score_windows

WHOLE = "all"
"""What the model is called whose layers are all rounded."""


@torch.no_grad()
def iter_rounded(
    model: Decoder,
    windows: Sequence[Tensor],
    token_bytes: Tensor,
    bits: Sequence[int],
    group: int,
) -> Iterator[LayerRounded]:
    """Each block, the embedding and head, then all of them, in each number of bits.

    Shapes: windows (1, T) of ids; token_bytes (V,).
    """
    parts = _parts(model)
    for name, layers in [*parts.items(), (WHOLE, [one for part in parts.values() for one in part])]:
        for count in bits:
            kept = [layer.weight for layer in layers]
            signal = noise = 0.0
            for layer in layers:
                weight = layer.weight
                layer.weight = nn.Parameter(_rounded(weight, count, group), requires_grad=False)
                signal += float(weight.square().sum())
                noise += float((layer.weight - weight).square().sum())
            share_tied(model)
            try:
                score = sum((score_windows(model, w, token_bytes) for w in windows), Score())
            finally:
                for layer, weight in zip(layers, kept, strict=True):
                    layer.weight = weight
                share_tied(model)
            ratio = 10 * math.log10(signal / noise) if noise and signal else math.inf
            yield LayerRounded(
                layer=name,
                bits=count,
                sqnr_db=ratio,
                bits_per_byte=score.bits_per_byte if windows else None,
            )


def _parts(model: Decoder) -> dict[str, list[nn.Linear]]:
    """The matrices of the embedding and the head, and of each block, by their names."""
    outer: list[nn.Module] = [model.model.embed_tokens]
    if not model.config.tie_word_embeddings:
        outer.append(model.lm_head)
    parts: dict[str, list[nn.Linear]] = {"embed_tokens, lm_head": outer}  # type: ignore[dict-item]
    for index, block in enumerate(model.model.layers):
        parts[f"layers.{index}"] = [m for m in block.modules() if isinstance(m, nn.Linear)]
    return parts


def _rounded(weight: Tensor, bits: int, group: int) -> Tensor:
    """The values that are nearest in groups of ``group``, or of the row where these leave some."""
    rows, size = weight.shape
    grouped = weight.float().reshape(rows, -1, group if size % group == 0 else size)
    levels = choose_levels(grouped, bits)
    return restored(round_to(grouped, *levels, bits), *levels).flatten(1)
