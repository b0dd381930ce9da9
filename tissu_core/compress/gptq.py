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
        names = {
            layer: name
            for name, layer in block.named_modules()
            if isinstance(layer, nn.Linear) and takes_groups(f".layers.{name}", layer, group)
        }
        inputs = _Inputs()
        reader.observe(index, [*names], inputs.add)
        for layers, gram in inputs.read_by:
            whole = torch.cat([layer.weight for layer in layers])
            rounded = round_by_gram(whole, gram, group)
            for layer, part in zip(layers, _parted(rounded, layers), strict=True):
                _replace(block, names.pop(layer), projection(part, layer.bias))
        for layer, name in names.items():  # an expert that has read nothing
            _replace(block, name, projection(round_groups(layer.weight, group), layer.bias))
        yield index + 1
    quantize_int4(model, group)  # what is left


class _Inputs:
    """The sum of x^T x of each input, and the layers that read it."""

    def __init__(self) -> None:
        self.read_by: list[tuple[list[nn.Linear], Tensor]] = []
        self._last: Tensor | None = None

    def add(self, layer: nn.Module, x: Tensor) -> None:
        """Layers that are given the same numbers one after the other share them."""
        assert isinstance(layer, nn.Linear)
        is_shared = self._last is not None and self._last.data_ptr() == x.data_ptr()
        self._last = x
        known = next((gram for layers, gram in self.read_by if layer in layers), None)
        if known is None and is_shared:
            self.read_by[-1][0].append(layer)
        elif known is None:
            self.read_by.append(([layer], x.T.float() @ x.float()))
        elif not is_shared:
            known.addmm_(x.T.float(), x.float())


def _parted(rows: PackedEmbedding, layers: Sequence[nn.Linear]) -> Iterator[PackedEmbedding]:
    """The rows of each layer out of those of all."""
    counts = [layer.out_features for layer in layers]
    kept = (rows.weight, rows.weight_scale, rows.weight_min)
    parts = (torch.split(numbers, counts) for numbers in kept)
    for weight, scale, low in zip(*parts, strict=True):
        made = PackedEmbedding(len(weight), rows.embedding_dim, rows.bits, rows.group)
        made.weight, made.weight_scale, made.weight_min = weight, scale, low
        yield made


def _replace(block: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(block.get_submodule(parent), last, layer)


def round_by_gram(weight: Tensor, gram: Tensor, group: int) -> PackedEmbedding:
    """Packed rows W' of a matrix W for which the sum of (x W'^T - x W^T)^2 is small.

    Shapes: weight (R, C), gram (C, C), the sum of x^T x over the inputs x (1, C).
    """
    count, size = weight.shape
    left = weight.float().T.contiguous()  # by inputs, of which one is rounded after the other
    influence = _influence(gram)
    numbers = left.new_empty(size, count, dtype=torch.uint8)
    scales, lows = (left.new_empty(count, size // group, dtype=torch.half) for _ in range(2))
    for begin in range(0, size, _COLUMNS):
        end = min(begin + _COLUMNS, size)
        errors = left.new_zeros(end - begin, count)
        for column in range(begin, end):
            if column % group == 0:
                whole = left[column : column + group].clone()
                # What columns behind this part make up for is not in them yet.
                late, done = slice(end, column + group), slice(begin, column)
                whole[end - column :] -= influence[done, late].T @ errors[: column - begin]
                level = choose_levels(whole.T[:, None], BITS)
                at = column // group
                scales[:, at : at + 1], lows[:, at : at + 1] = level
            one = left[column, :, None, None]
            rounded = round_to(one, *level, BITS)
            numbers[column] = rounded.flatten()
            wrong = (one - restored(rounded, *level)).flatten() / influence[column, column]
            errors[column - begin] = wrong
            left[column:end].addr_(influence[column, column:end], wrong, alpha=-1)
        left[end:].addmm_(influence[begin:end, end:].T, errors, alpha=-1)
    made = PackedEmbedding(count, size, BITS, group)
    made.weight = pack(numbers.T.contiguous(), BITS)
    made.weight_scale, made.weight_min = scales, lows
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
