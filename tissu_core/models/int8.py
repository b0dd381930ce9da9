"""A decoder with int8 layers in place of its matrices."""

from torch import nn

from tissu_core.layers.int8 import Int8Embedding, Int8Linear
from tissu_core.models.decoder import Decoder


def use_int8_layers(model: Decoder) -> Decoder:
    """Replace every projection, the head and the token embedding by unfilled int8 layers, in place.

    Norms, biases and learned positions, a thousandth of the weights, stay as they are.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear):
                bias = child.bias is not None
                layer = Int8Linear(child.in_features, child.out_features, bias=bias)
                layer.bias = child.bias
                setattr(parent, name, layer.to(child.weight.device))
    tokens = model.model.embed_tokens
    rows = Int8Embedding(tokens.num_embeddings, tokens.embedding_dim)
    model.model.embed_tokens = rows.to(tokens.weight.device)  # type: ignore[assignment]
    return share_tied(model)


def share_tied(model: Decoder) -> Decoder:
    """Let a tied head read the embedding's numbers."""
    if model.config.tie_word_embeddings:
        head, tokens = model.lm_head, model.model.embed_tokens
        head.weight = tokens.weight
        if isinstance(head, Int8Linear):
            head.weight_scale = tokens.weight_scale
    return model


def is_int8(model: Decoder) -> bool:
    """Whether a decoder has int8 layers."""
    return isinstance(model.lm_head, Int8Linear)
