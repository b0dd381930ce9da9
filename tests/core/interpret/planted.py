"""Models whose answers are known because their weights were written by hand."""

import torch

from tests.samples import make_config, make_model
from tissu_core.models.decoder import Decoder

TRIGGER, TARGET, OTHER = 40, 50, 60


def trigger_model(**changes: object) -> Decoder:
    """One layer that attends evenly and makes TARGET likely where TRIGGER is anywhere before."""
    shape = {"num_hidden_layers": 1, "position_embedding": "alibi", "qk_norm": False}
    model = make_model(make_config(**(shape | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_() if parameter.ndim == 2 else parameter.fill_(1.0)
        model.model.embed_tokens.weight[:, 0] = 1.0
        model.model.embed_tokens.weight[TRIGGER, 1] = 1.0
        block = model.model.layers[0]
        block.self_attn.v_proj.weight[0, 1] = 1.0
        block.self_attn.o_proj.weight[2, 0] = 4.0
        model.lm_head.weight[TARGET, 2] = 3.0
    return model


def routed_model(experts: int = 4, chosen: int = 1) -> Decoder:
    """Two layers; in both, token 16 + i goes to expert i % experts, then to the ones after it.

    The second layer's router turns everything by one.
    """
    config = make_config(num_local_experts=experts, num_experts_per_tok=chosen)
    model = make_model(config)
    with torch.no_grad():
        tokens = model.model.embed_tokens.weight.zero_()
        for id in range(16, len(tokens)):
            tokens[id, (id - 16) % experts] = 1.0
        for index, block in enumerate(model.model.layers):
            block.self_attn.o_proj.weight.zero_()
            for expert in block.mlp.experts:
                expert.down_proj.weight.zero_()
            gate = block.mlp.gate.weight.zero_()
            for expert in range(experts):
                for rank in range(experts):
                    gate[(expert + rank + index) % experts, expert] = 5.0 - rank
    return model
