"""Which layers of a decoder multiply in float8 while it learns, and which cannot."""

from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError
from tissu_core.layers.float8 import MULTIPLE
from tissu_core.layers.linear import Linear
from tissu_core.models.build import build_empty
from tissu_core.models.decoder import Decoder


def use_float8_products(model: Decoder) -> None:
    """In training mode, from now on; weights, names and what is saved stay as they are.

    Head, embeddings and the router of a mixture are no layers of this kind: few of the products,
    and the ones that a coarse rounding hurts most.
    """
    for module in model.modules():
        if isinstance(module, Linear):
            module.is_float8 = module.suits_float8


def explain_float8(config: ModelConfig) -> str:
    """Which layers multiply so.

    Raises:
        ConfigError: If none does.
    """
    layers = {n: m for n, m in build_empty(config).named_modules() if isinstance(m, Linear)}
    others = [name for name, layer in layers.items() if not layer.suits_float8]
    if len(others) == len(layers):
        raise ConfigError(
            "--precision is fp8, and no layer of this model has sides that are multiples of "
            f"{MULTIPLE}, as float8 products need",
            field="precision",
            hint=f"--precision bf16, or a --width that is a multiple of {MULTIPLE}",
        )
    count = len(layers) - len(others)
    if not others:
        return f"all {count} projections of the blocks multiply in float8, the rest in bf16"
    kinds = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in others))
    return (
        f"{count} of {len(layers)} projections of the blocks multiply in float8, the rest in bf16: "
        f"{kinds} with a side that is no multiple of {MULTIPLE}"
    )
