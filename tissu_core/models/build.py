"""From configuration to a module."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from tissu_core.config.model import ModelConfig
from tissu_core.models.decoder import Decoder
from tissu_core.models.init import init_weights


def build_model(
    config: ModelConfig,
    *,
    device: torch.device,
    seed: int,
    init: str = "identity",
) -> Decoder:
    """A decoder with first weights that depend on seed and scheme alone, not on the device."""
    with _Uninitialized():
        model = Decoder(config)
    init_weights(model, seed, init)
    return model.to(device)


def build_empty(config: ModelConfig) -> Decoder:
    """A decoder on the meta device: shapes without memory, for counting and loading."""
    with torch.device("meta"), _Uninitialized():
        return Decoder(config)


class _Uninitialized(TorchFunctionMode):
    """Leaves tensors as they are where torch's layers would fill them with first weights.

    They are filled from a file or by ``init_weights``. On the meta device there is nothing to fill,
    and asking for it imports sympy, which takes 1.4 s.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
