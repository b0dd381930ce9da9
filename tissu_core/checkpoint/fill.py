"""Weights from a file into a model's layers, which are what the weights are: plain or packed."""

from pathlib import Path
from typing import Any

import torch

from tissu_core.checkpoint.weights import widened
from tissu_core.errors import InputError
from tissu_core.layers.packed import Packed
from tissu_core.models.decoder import Decoder
from tissu_core.models.packed import packing_of, share_tied, use_stored_layers

INT8 = {"bits": 8, "scale": "output"}
"""How ``config.json`` tells that matrices are int8 with one scale for each output."""


def packing_table(model: Decoder) -> dict[str, Any]:
    """What ``config.json`` says of packed matrices; nothing of plain ones."""
    groups = {layer.group for layer in model.modules() if isinstance(layer, Packed)}
    if groups:
        bits = int(packing_of(model).removeprefix("int"))
        return {"bits": bits, "scale": "group", "group_size": max(groups)}
    return INT8 if packing_of(model) else {}


def refuse_packing(table: dict[str, Any], config_file: Path) -> None:
    """Refuse weights that are packed as another program does.

    Raises:
        InputError: Names what packed them.
    """
    packing = table.get("quantization") or table.get("quantization_config")
    is_own = isinstance(packing, dict) and packing.get("scale") == "group"
    if packing is None or packing == INT8 or is_own:
        return
    named = packing.get("quant_method", packing) if isinstance(packing, dict) else packing
    raise InputError(
        f"{config_file} has weights packed by {str(named)[:80]}; this version reads its own int8 "
        "and int4, and the kinds of GGUF",
        hint="use the model it was made from, or a GGUF of it",
    )


def tied_names(model: Decoder) -> set[str]:
    """Names of the head's tensors where they are the embedding's."""
    is_tied = model.config.tie_word_embeddings
    return {name for name in model.state_dict() if is_tied and name.startswith("lm_head.")}


def fill(model: Decoder, tensors: dict[str, torch.Tensor], directory: Path) -> None:
    """Give an empty model its weights, and its layers what they are packed as.

    Raises:
        InputError: If one is missing, too many, or of another shape or kind than the model's.
    """
    use_stored_layers(model, tensors)
    tied = tied_names(model)
    tensors = {name: tensor for name, tensor in tensors.items() if name not in tied}
    layers = {name: layer for name, layer in model.state_dict().items() if name not in tied}
    _check_tensors(layers, tensors, directory)
    weights = {
        # Fused Adam on a CPU walks over a parameter's memory as if it were contiguous.
        name: widened(name, tensor).contiguous()
        for name, tensor in tensors.items()
    }
    model.load_state_dict(weights, strict=not tied, assign=True)
    share_tied(model)


def _check_tensors(
    layers: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor], directory: Path
) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in layers.items()}
    for name, shape in expected.items():
        if name not in tensors:
            raise InputError(
                f"{directory} lacks the tensor {name}", hint="use another copy of the model"
            )
        if tuple(tensors[name].shape) != shape:
            raise InputError(
                f"{directory}: {name} is {tuple(tensors[name].shape)}, "
                f"the configuration says {shape}",
                hint="use another copy of the model",
            )
        if tensors[name].is_floating_point() != layers[name].is_floating_point():
            raise InputError(
                f"{directory}: {name} is {tensors[name].dtype}, the configuration says "
                f"{layers[name].dtype}",
                hint="use another copy of the model",
            )
    extra = sorted(set(tensors) - set(expected))
    if extra:
        raise InputError(f"{directory} has a tensor too many: {extra[0]}", hint="use another copy")
