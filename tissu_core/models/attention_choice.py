"""Whether attention can be computed as asked for, tried before anything is written."""

import torch

from tissu_core.config.model import ModelConfig
from tissu_core.config.runs import TrainRun
from tissu_core.errors import ConfigError, ResourceError
from tissu_core.layers.attention import Attention
from tissu_core.runtime.memory import is_out_of_memory
from tissu_core.runtime.precision import autocast

_WITHOUT = "the same command without --attn-impl"


def check_attention(config: ModelConfig, run: TrainRun, device: torch.device) -> None:
    """Try the layers of a model that is to train in this way; what always works is not tried.

    Raises:
        ConfigError: If the model or its text has what cannot be attended to so.
        ResourceError: If torch does not compute it on this device.
    """
    if run.objective.document_mask and run.data.format == "chats":
        raise ConfigError(
            "--document-mask parts texts where <|endoftext|> stands, and these are conversations, "
            "which have none between them",
            field="document_mask",
            hint="the same command without it",
        )
    implementation, dropout = run.machine.attn_impl, run.model.attention_dropout
    if implementation not in ("flash", "flex"):
        return
    asked = f"--attn-impl is {implementation}"
    if implementation == "flex" and device.type == "cpu":
        raise ResourceError(
            f"{asked}, and torch's FlexAttention has no backward on a CPU", hint=_WITHOUT
        )
    if implementation == "flex" and dropout:
        raise ConfigError(
            f"{asked}, and torch's FlexAttention has no dropout",
            field="attn_impl",
            hint=f"--attn-dropout 0, or {_WITHOUT}",
        )
    if implementation == "flash" and config.attn_logit_softcapping is not None:
        raise ConfigError(
            f"{asked}, and no such kernel has this model's soft caps",
            field="attn_impl",
            hint=_WITHOUT,
        )
    try:
        for kind in set(config.layer_kinds):
            layer = Attention(config, config.layer_kinds.index(kind)).to(device)
            layer.implementation, layer.dropout = implementation, dropout
            _try_out(layer, config, run)
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0][:200]
        raise ResourceError(
            f"{asked}, and torch does not compute this model so on this {device.type} device in "
            f"{run.machine.precision}: {reason}",
            hint=_WITHOUT,
        ) from error


def _try_out(layer: Attention, config: ModelConfig, run: TrainRun) -> None:
    """One row of a whole context, forward, as in a step."""
    device = layer.o_proj.weight.device
    x = torch.zeros(1, config.max_position_embeddings, config.hidden_size, device=device)
    with torch.enable_grad(), autocast(device, run.machine.precision):
        shown = None
        if run.objective.document_mask:
            shown = layer.show_documents(torch.zeros(x.shape[:2], dtype=torch.long, device=device))
        layer(x, None, shown=shown)
