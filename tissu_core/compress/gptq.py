"""Weights rounded one input after the other, each error made up for by the inputs after it."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from tissu_core.compress.calibration import BlockReader
from tissu_core.compress.groups import choose_levels, restored, round_to
from tissu_core.compress.int4 import BITS, quantize_int4, round_groups, takes_groups
from tissu_core.layers.packed import PackedEmbedding, pack
from tissu_core.models.decoder import Decoder
from tissu_core.models.packed import projection

DAMPING = 0.01
"""Added to the diagonal as a share of its mean; that of the paper."""
_COLUMNS = 128
"""Whose errors are gathered before all that follow are changed; that of the paper."""


@torch.no_grad()
def quantize_gptq(model: Decoder, rows: Sequence[Tensor], group: int) -> Iterator[int]:
    """Round a decoder's blocks in place on rows of ids (B, T); yields how many are done.

    Source: Frantar et al. 2022, arXiv:2210.17323.
    """
    reader = BlockReader(model, rows)
    for index, block in reader.iter_blocks():
        layers = {
            name: layer
            for name, layer in block.named_modules()
            if takes_groups(f".layers.{name}", layer, group)
        }
        grams: dict[nn.Module, Tensor] = {}

        def add(layer: nn.Module, x: Tensor, grams: dict[nn.Module, Tensor] = grams) -> None:
            product = x.T.float() @ x.float()
            grams[layer] = product if layer not in grams else grams[layer] + product

        reader.observe(index, [*layers.values()], add)
        for name, layer in layers.items():
            assert isinstance(layer, nn.Linear)
            gram = grams.get(layer)  # an expert may have read nothing
            rounded = (
                round_groups(layer.weight, group)
                if gram is None
                else round_by_gram(layer.weight, gram, group)
            )
            parent, _, last = name.rpartition(".")
            setattr(block.get_submodule(parent), last, projection(rounded, layer.bias))
        yield index + 1
    quantize_int4(model, group)  # what is left


def round_by_gram(weight: Tensor, gram: Tensor, group: int) -> PackedEmbedding:
    """Packed rows W' of a matrix W for which the sum of (x W'^T - x W^T)^2 is small.

    Shapes: weight (R, C), gram (C, C), the sum of x^T x over the inputs x (1, C).
    """
    weight = weight.float().clone()
    count, size = weight.shape
    influence = _influence(gram)
    numbers = weight.new_empty(count, size, dtype=torch.uint8)
    scales, lows = (weight.new_empty(count, size // group, dtype=torch.half) for _ in range(2))
    for begin in range(0, size, _COLUMNS):
        end = min(begin + _COLUMNS, size)
        errors = weight.new_zeros(count, end - begin)
        for column in range(begin, end):
            at = column // group
            if column % group == 0:
                whole = weight[:, None, column : column + group]
                if column + group > end:  # what later columns make up for is not in them yet
                    whole = whole.clone()
                    late = slice(end, column + group)
                    whole[:, 0, end - column :] -= (
                        errors[:, : column - begin] @ influence[begin:column, late]
                    )
                scale, low = choose_levels(whole, BITS)
                scales[:, at : at + 1], lows[:, at : at + 1] = scale, low
            level = scales[:, at : at + 1], lows[:, at : at + 1]
            one = weight[:, column : column + 1, None]
            rounded = round_to(one, *level, BITS)
            numbers[:, column] = rounded.flatten()
            error = (one - restored(rounded, *level)).flatten() / influence[column, column]
            weight[:, column:end] -= error[:, None] * influence[column, column:end]
            errors[:, column - begin] = error
        weight[:, end:] -= errors @ influence[begin:end, end:]
    made = PackedEmbedding(count, size, BITS, group)
    made.weight, made.weight_scale, made.weight_min = pack(numbers, BITS), scales, lows
    return made


def _influence(gram: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse of the damped matrix (C, C).

    Its row of an input says how far the others move where that one's error is made up for.
    """
    gram = gram.double()
    diagonal = gram.diagonal()
    diagonal[diagonal == 0] = 1  # an input that was never there
    diagonal += DAMPING * diagonal.mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    influence: Tensor = torch.linalg.cholesky(inverse, upper=True)
    return influence.float()
