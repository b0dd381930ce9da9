"""What a model's blocks are given while it reads a text, one block after the other."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from torch import Tensor, nn

from tissu_core.models.decoder import Block, Decoder

Observer = Callable[[nn.Module, Tensor], None]
"""Is told a projection and the inputs of one reading of it, (N, inputs)."""


class BlockReader:
    """Reads rows of ids block by block, so that a block can change before the next one reads.

    Shapes: rows (B, T) each.
    """

    def __init__(self, model: Decoder, rows: Sequence[Tensor]) -> None:
        self._blocks = [cast(Block, block) for block in model.model.layers]
        self._calls: list[list[tuple[Any, ...]]] = [[] for _ in self._blocks]
        """For each block and each of the rows what it is given; of later ones not yet the x."""
        hooks = [
            block.register_forward_pre_hook(lambda _, given, calls=calls: calls.append(given))
            for block, calls in zip(self._blocks, self._calls, strict=True)
        ]
        try:
            for part in rows:
                model.model(part)
        finally:
            for hook in hooks:
                hook.remove()

    def iter_blocks(self) -> Iterator[tuple[int, Block]]:
        """Each block in turn; what the next one reads is what this one has become gives."""
        streams = [given[0] for given in self._calls[0]]
        for index, block in enumerate(self._blocks):
            others = [given[1:] for given in self._calls[index]]
            self._calls[index] = [(x, *rest) for x, rest in zip(streams, others, strict=True)]
            yield index, block
            streams = [block(*given) for given in self._calls[index]]
            self._calls[index] = []

    def observe(self, index: int, layers: Sequence[nn.Module], observer: Observer) -> None:
        """Let a block read its rows, and tell what these of its layers were given."""
        hooks = [
            layer.register_forward_pre_hook(
                lambda seen, given: observer(seen, given[0].detach().flatten(0, -2))
            )
            for layer in layers
        ]
        try:
            for given in self._calls[index]:
                self._blocks[index](*given)
        finally:
            for hook in hooks:
                hook.remove()
