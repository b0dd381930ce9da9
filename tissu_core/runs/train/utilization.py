"""How well a run uses its device."""

from dataclasses import replace
from typing import TYPE_CHECKING

from tissu_core.config.model import ModelConfig
from tissu_core.config.runs import TrainRun
from tissu_core.models.count import model_flops_per_token

if TYPE_CHECKING:
    import torch


def mfu_of_token(
    run: TrainRun, model: ModelConfig, context: int, device: "torch.device", num_ranks: int
) -> float | None:
    """Model FLOPs utilisation at one token a second, of all devices that train together.

    None where their peak is not known, and where some of the model does not learn: the gradient
    of that is left out, and the formula counts it.
    """
    from tissu_core.runtime.peaks import peak_flops

    peak = None if run.tuning.freeze else peak_flops(device, run.machine.precision)
    if peak is None:
        return None
    flops = model_flops_per_token(replace(model, max_position_embeddings=context))
    return flops / (peak * num_ranks)
