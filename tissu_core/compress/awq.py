"""Weights rounded after the inputs that are large are made smaller, and their weights larger."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from tissu_core.compress.calibration import BlockReader
from tissu_core.compress.groups import choose_levels, restored, round_to
from tissu_core.compress.int4 import BITS, quantize_int4, takes_groups
from tissu_core.layers.feed_forward import GLU
from tissu_core.models.decoder import Block, Decoder

EXPONENTS = tuple(step / 10 for step in range(10))
"""That are tried: how strongly an input's scale follows its mean magnitude."""
_SAMPLE = 512
"""Inputs of a layer on which they are compared."""


@torch.no_grad()
def quantize_awq(model: Decoder, rows: Sequence[Tensor], group: int) -> Iterator[int]:
    """Scale and round a decoder's blocks in place on rows of ids (B, T); yields how many are done.

    What scales an input is divided out of the norm or projection that makes it, so that the model
    computes as before.
    Source: Lin et al. 2023, arXiv:2306.00978.
    """
    reader = BlockReader(model, rows)
    for index, block in reader.iter_blocks():
        for makers, readers in _pairs(block):
            if all(takes_groups(f".layers.{index}", layer, group) for layer in readers):
                _scale(reader, index, makers, readers, group)
        yield index + 1
    quantize_int4(model, group)


def _pairs(block: Block) -> list[tuple[nn.Module, list[nn.Linear]]]:
    """What makes an input channel by channel, and all that read it."""
    attention, mlp = block.self_attn, block.mlp
    pairs: list[tuple[nn.Module, list[nn.Linear]]] = [
        (block.input_layernorm, [attention.q_proj, attention.k_proj, attention.v_proj])
    ]
    if attention.num_heads == attention.num_kv_heads:
        pairs.append((attention.v_proj, [attention.o_proj]))
    if isinstance(mlp, GLU):
        pairs.append((block.post_attention_layernorm, [mlp.gate_proj, mlp.up_proj]))
        pairs.append((mlp.up_proj, [mlp.down_proj]))
    elif hasattr(mlp, "up_proj"):
        pairs.append((block.post_attention_layernorm, [mlp.up_proj]))  # type: ignore[list-item]
    return pairs


def _scale(
    reader: BlockReader, index: int, maker: nn.Module, readers: list[nn.Linear], group: int
) -> None:
    seen: list[Tensor] = []
    reader.observe(index, readers[:1], lambda _, x: seen.append(x.float()))
    inputs = torch.cat(seen)
    size = inputs.abs().mean(0).clamp(min=1e-6)
    sample = inputs[:: max(1, len(inputs) // _SAMPLE)]
    weight = torch.cat([layer.weight.float() for layer in readers])
    expected = sample @ weight.T
    best, chosen = float("inf"), torch.ones_like(size)
    for exponent in EXPONENTS:
        scale = size**exponent
        scale = scale / (scale.max() * scale.min()).sqrt()
        grouped = (weight * scale).view(len(weight), -1, group)
        levels = choose_levels(grouped, BITS)
        rounded = restored(round_to(grouped, *levels, BITS), *levels).flatten(1)
        error = float(((sample / scale) @ rounded.T - expected).square().mean())
        if error < best:
            best, chosen = error, scale
    for layer in readers:
        layer.weight.mul_(chosen)
    for name in ("weight", "bias"):
        numbers = getattr(maker, name, None)
        if numbers is not None:
            numbers.div_(chosen if numbers.ndim == 1 else chosen[:, None])
