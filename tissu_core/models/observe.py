"""The way to see what a model computes on the way: nothing in the decoder knows that it is watched.

Attention keeps no shares; ``Attention.shares`` computes those of a layer from what enters it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

from torch import Tensor, nn

from tissu_core.layers.attention import Attention
from tissu_core.models.decoder import Block, Decoder

Seen = Callable[[Tensor], Tensor | None]
"""Takes what a module computed; what it returns, if anything, goes on in its place."""


@contextmanager
def observe(
    model: Decoder, wanted: Mapping[str, Seen], entering: Mapping[str, Seen] | None = None
) -> Iterator[None]:
    """While this is open, hand the output of each module that ``wanted`` names to its function.

    And what enters each that ``entering`` names.

    Names are those of ``named_modules``: ``model.layers.3`` is the stream (B, T, C) after block 3,
    ``model.layers.3.mlp.down_proj`` what enters it. Only ``Decoder.forward`` calls modules: set
    ``step`` to None first on a model that was made to decode.

    Raises:
        KeyError: If the model has no such module.
    """
    modules = dict(model.named_modules())
    with ExitStack() as hooks:
        for name, seen in wanted.items():
            hook = modules[name].register_forward_hook(_hand_to(seen))
            hooks.callback(hook.remove)
        for name, seen in (entering or {}).items():
            hook = modules[name].register_forward_pre_hook(_hand_entering_to(seen))
            hooks.callback(hook.remove)
        yield


@contextmanager
def observe_attention(
    model: Decoder, wanted: Mapping[int, Callable[[Tensor], None]]
) -> Iterator[None]:
    """While this is open, hand the shares of each layer that ``wanted`` numbers to its function.

    They are (B, H, T, T) in fp32, computed beside the layer's own output, of texts that are read
    whole: without a cache, padding, or documents kept apart.

    Raises:
        IndexError: If the model has no such layer.
    """
    with ExitStack() as hooks:
        for index, seen in wanted.items():
            attention = cast(Block, model.model.layers[index]).self_attn
            hooks.callback(attention.register_forward_pre_hook(_share_to(seen)).remove)
        yield


def _share_to(seen: Callable[[Tensor], None]) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def hand(attention: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen(cast(Attention, attention).shares(*inputs[:2]))

    return hand


def _hand_to(seen: Seen) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor | None]:
    return lambda module, inputs, output: seen(output)


def _hand_entering_to(seen: Seen) -> Callable[[nn.Module, tuple[Any, ...]], Tensor | None]:
    return lambda module, inputs: seen(inputs[0])
