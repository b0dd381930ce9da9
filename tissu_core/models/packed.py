"""A decoder with packed layers in place of its matrices, and back."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from tissu_core.layers.int8 import Int8Embedding, Int8Linear
from tissu_core.layers.packed import BESIDE, RUN, Packed, PackedEmbedding, PackedLinear
from tissu_core.models.build import build_empty
from tissu_core.models.decoder import Decoder

_ROWS = 4096
"""Rounded anew at once, so that what they are in fp32 stays small."""
PackedLayer = Int8Linear | Int8Embedding | Packed


def replace_layers(model: Decoder, make: Callable[[str, nn.Module], nn.Module | None]) -> Decoder:
    """Put what ``make`` gives for the name of a projection, the head or the token embedding there.

    Layers stay for which it gives None, as do norms, biases and learned positions, a thousandth of
    the weights; a tied head becomes what the embedding does.
    """
    head, tokens = model.lm_head, model.model.embed_tokens
    for path, parent in list(model.named_modules()):
        for name, child in list(parent.named_children()):
            is_matrix = isinstance(child, nn.Linear | PackedLayer) or child is tokens
            if not is_matrix or (child is head and model.config.tie_word_embeddings):
                continue
            made = make(f"{path}.{name}".lstrip("."), child)
            if made is not None:
                setattr(parent, name, made)
    return share_tied(model)


def use_stored_layers(model: Decoder, tensors: Mapping[str, Tensor]) -> Decoder:
    """Give an empty decoder the layers that a file's tensors are of; they are not filled yet."""

    def make(name: str, layer: nn.Module) -> nn.Module | None:
        weight, scale = (tensors.get(f"{name}.{end}") for end in ("weight", "weight_scale"))
        assert isinstance(layer, nn.Linear | nn.Embedding)
        if weight is None or scale is None:
            return None
        rows = _empty_rows(layer, weight, scale)
        if rows is None or isinstance(layer, nn.Embedding):
            return rows
        return projection(rows, layer.bias)

    return replace_layers(model, make)


def _empty_rows(
    layer: nn.Linear | nn.Embedding, weight: Tensor, scale: Tensor
) -> Int8Embedding | PackedEmbedding | None:
    """Rows of the kind of these tensors; None if there is none such."""
    rows, size = layer.weight.shape
    with torch.device(layer.weight.device):
        if weight.dtype == torch.int8:
            return Int8Embedding(rows, size)
        if weight.dtype != torch.uint8 or scale.ndim != 2 or not scale.shape[1]:
            return None
        bits, group = 8 * weight.shape[-1] // size, size // scale.shape[1]
        return PackedEmbedding(rows, size, bits, group) if bits in (4, 8) and group else None


def unpacked(model: Decoder) -> Decoder:
    """A decoder with matrices of fp32 in place of packed ones."""
    plain = build_empty(model.config)
    weights = {
        f"{name}.weight": layer.dequantize()
        for name, layer in model.named_modules()
        if isinstance(layer, PackedLayer)
    }
    others = {name: tensor for name, tensor in model.state_dict().items() if name not in weights}
    kept = {name: tensor for name, tensor in others.items() if not name.endswith(BESIDE)}
    plain.load_state_dict(weights | kept, assign=True)
    return share_tied(plain).train(model.training)


@torch.no_grad()
def pack_for_products(model: Decoder) -> Decoder:
    """Let packed matrices be of the one kind that products take: runs of 32 or more share a scale.

    Int8 rows are that with a minimum; groups of 16 are rounded anew, to 8 bits by 32, which moves
    a weight by at most a 510th of its group's range.
    """

    def made(_: str, layer: nn.Module) -> nn.Module | None:
        rows: PackedEmbedding
        if isinstance(layer, Int8Linear | Int8Embedding) and layer.weight.shape[1] % RUN == 0:
            rows = PackedEmbedding(
                layer.weight.shape[0], layer.weight.shape[1], 8, layer.weight.shape[1]
            )
            rows.weight = layer.weight.view(torch.uint8) ^ 128
            rows.weight_scale = layer.weight_scale[:, None]
            rows.weight_min = -128 * rows.weight_scale
        elif isinstance(layer, Packed) and layer.group < RUN:
            rows = _regrouped(layer)
        else:
            return None
        is_embedding = isinstance(layer, Int8Embedding | PackedEmbedding)
        return rows if is_embedding else projection(rows, layer.bias)  # type: ignore[arg-type]

    return replace_layers(model, made)


def lay_in_panels(model: Decoder) -> Decoder:
    """Let what is multiplied by packed numbers lie as the library reads it."""
    is_tied = model.config.tie_word_embeddings
    of_head = model.model.embed_tokens if is_tied else model.lm_head
    for layer in [*model.model.layers.modules(), of_head]:
        if isinstance(layer, Packed):
            layer.to_panels()
    return share_tied(model)


def _regrouped(layer: Packed) -> PackedEmbedding:
    parts = []
    count = len(layer.weight)
    for begin in range(0, count, _ROWS):
        values = layer.dequantize(slice(begin, begin + _ROWS))
        grouped = values.view(len(values), -1, RUN)
        low, most = grouped.amin(-1), grouped.amax(-1)
        scale = (most - low) / 255
        levels = (grouped - low[..., None]) / scale.clamp(min=1e-12)[..., None]
        parts.append((levels.round().to(torch.uint8).flatten(1), scale, low))
    rows = PackedEmbedding(count, parts[0][0].shape[1], 8, RUN)
    rows.weight, rows.weight_scale, rows.weight_min = map(torch.cat, zip(*parts, strict=True))
    return rows


def share_tied(model: Decoder) -> Decoder:
    """Let a tied head read the embedding's numbers, of whatever kind they are."""
    if model.config.tie_word_embeddings:
        tokens = model.model.embed_tokens
        if isinstance(tokens, nn.Embedding):
            model.lm_head.weight = tokens.weight
        else:
            model.lm_head = projection(tokens)
    return model


def projection(
    rows: Int8Embedding | PackedEmbedding, bias: nn.Parameter | None = None
) -> Int8Linear | PackedLinear:
    """The layer that multiplies by an embedding's matrix, which stands once in memory."""
    outputs, inputs = rows.num_embeddings, rows.embedding_dim
    made: Int8Linear | PackedLinear
    with torch.device("meta"):
        if isinstance(rows, Int8Embedding):
            made = Int8Linear(inputs, outputs, bias=False)
        else:
            made = PackedLinear(inputs, outputs, rows.bits, rows.group, bias=False)
    for name, numbers in rows.named_buffers():
        setattr(made, name, numbers)
    if isinstance(made, PackedLinear) and isinstance(rows, Packed):
        made.is_in_panels = rows.is_in_panels
    made.bias = bias
    return made


def packing_of(model: Decoder) -> str:
    """int4 or int8, by the fewest bits that a matrix has; nothing of a plain model."""
    layers = [layer for layer in model.modules() if isinstance(layer, PackedLayer)]
    if not layers:
        return ""
    bits = min(layer.bits if isinstance(layer, Packed) else 8 for layer in layers)
    return f"int{bits}"
