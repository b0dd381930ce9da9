"""Whether training a model fits memory, and which does."""

from collections.abc import Callable
from functools import partial

from tissu_core.config.model import ModelConfig
from tissu_core.config.shape import HEAD_DIM, ModelShape, resolve_shape
from tissu_core.errors import ResourceError
from tissu_core.models.count import train_bytes


def too_large(
    config: ModelConfig,
    free_bytes: float,
    recompute: str = "none",
    *,
    is_fp32: bool = False,
    is_averaged: bool = False,
) -> ResourceError:
    """The refusal of a model that does not train even with one sequence at a time."""
    needed = partial(train_bytes, sequences=1, is_fp32=is_fp32, is_averaged=is_averaged)
    own = needed(config, recompute=recompute)
    # Below the estimate's error by as much as the plan leaves when it chooses.
    room = 0.8 * free_bytes
    depth = _largest_depth(config, lambda smaller: needed(smaller, recompute=recompute) < room)
    ways = [f"--depth {depth} fits"] if depth else []
    if recompute == "none" and needed(config, recompute="block") < room:
        ways.append("--checkpoint-activations block")
    ways.append("a smaller --context")
    return ResourceError(
        f"{config.num_hidden_layers} layers x {config.hidden_size} with a context of "
        f"{config.max_position_embeddings} needs {own / 1e9:.1f} GB, "
        f"{free_bytes / 1e9:.1f} GB free",
        safe="every finished checkpoint",
        hint="; or ".join(ways),
    )


def _largest_depth(config: ModelConfig, fits: Callable[[ModelConfig], bool]) -> int:
    """The largest ``--depth`` below this size that fits; 0 if none does."""
    for depth in range(config.hidden_size // HEAD_DIM, 0, -1):
        smaller = resolve_shape(
            ModelShape(),
            layers=depth,
            width=depth * HEAD_DIM,
            context_tokens=config.max_position_embeddings,
            vocab_size=config.vocab_size,
        )
        if fits(smaller):
            return depth
    return 0
