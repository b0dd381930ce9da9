"""A model made to decode as fast as this machine can."""

import ctypes
import threading
from pathlib import Path

import torch

from tissu_core.decoding.choice import Choice, expected_choice, find_choice
from tissu_core.decoding.native_attention import NativeAttention
from tissu_core.decoding.native_product import NativeProduct
from tissu_core.decoding.native_step import NativeStep, suits_library
from tissu_core.layers.attention import Attention
from tissu_core.layers.packed import PackedLinear
from tissu_core.models.count import num_parameters
from tissu_core.models.decoder import Decoder
from tissu_core.models.fuse import fuse
from tissu_core.models.packed import lay_in_panels, pack_for_products, packing_of, unpacked
from tissu_core.native.library import compile_library, find_compiler, find_library
from tissu_core.runtime.memory import free_bytes

_SHARE = 0.5
"""Of the free memory, that unpacked weights may take."""


def make_fast(model: Decoder, directory: Path | None) -> Decoder:
    """The model, changed in place or another one, so that it decodes as fast as it can.

    It does so by the library in ``directory``, or by torch with fused matrices, unpacked where
    there is room. The first time, the library is compiled meanwhile: the first replies are torch's.
    """
    library = None if directory is None else find_library(directory)
    if directory is None or (library is None and find_compiler() is None):
        return _by_torch(model)
    if packing_of(model) and model.device.type == "cpu":
        pack_for_products(model)
        model.cache_dtype = torch.float16
        _read_in_bf16(model, expected_choice())
    if not suits_library(model):
        return _by_torch(model)
    lay_in_panels(model)
    if library is not None:
        _use(model, library, find_choice(library))
    else:
        threading.Thread(target=_compile, args=(model, directory), daemon=True).start()
    return model


def _by_torch(model: Decoder) -> Decoder:
    """Torch unpacks packed matrices for each token: SmolLM2 writes 3.4 a second so, else 24."""
    if packing_of(model) and model.device.type == "cpu":
        needed = 4 * num_parameters(model.config)
        if needed < _SHARE * free_bytes(model.device):
            model = unpacked(model)
    return fuse(model)


def _compile(model: Decoder, directory: Path) -> None:
    library = compile_library(directory)
    if library is not None:  # a reply is being written: what is measured now would be wrong
        _use(model, library, expected_choice())


def _use(model: Decoder, library: ctypes.CDLL, choice: Choice) -> None:
    for layer in model.modules():
        if isinstance(layer, PackedLinear):
            layer.product = NativeProduct(layer, library, choice.most_rows)
        elif isinstance(layer, Attention):
            layer.reader = NativeAttention(library)
    _read_in_bf16(model, choice)
    model.step = NativeStep(model, library)


def _read_in_bf16(model: Decoder, choice: Choice) -> None:
    """As plain weights are read in their own format, only packed ones are."""
    if packing_of(model):
        model.read_dtype = torch.bfloat16 if choice.reads_in_bf16 else None
