"""A model made to decode as fast as this machine can."""

import ctypes
import threading
from pathlib import Path

import torch

from tissu_core.decoding.choice import Choice, expected_choice, find_choice
from tissu_core.decoding.native_product import NativeProduct
from tissu_core.decoding.native_step import NativeStep, suits_library
from tissu_core.layers.packed import PackedLinear
from tissu_core.models.decoder import Decoder
from tissu_core.models.fuse import fuse
from tissu_core.models.packed import lay_in_panels, pack_for_products, packing_of
from tissu_core.native.library import compile_library, find_compiler, find_library


def make_fast(model: Decoder, directory: Path | None) -> Decoder:
    """Let the model decode by the library in ``directory``, or by torch with fused matrices.

    The first time, the library is compiled meanwhile: the first replies are torch's.
    """
    if packing_of(model) and model.device.type == "cpu":
        pack_for_products(model)
        model.cache_dtype = torch.float16
        _read_in_bf16(model, expected_choice())
    if directory is None or not suits_library(model):
        return fuse(model)
    library = find_library(directory)
    if library is None and find_compiler() is None:
        return fuse(model)
    lay_in_panels(model)
    if library is not None:
        _use(model, library, find_choice(library))
    else:
        threading.Thread(target=_compile, args=(model, directory), daemon=True).start()
    return model


def _compile(model: Decoder, directory: Path) -> None:
    library = compile_library(directory)
    if library is not None:  # a reply is being written: what is measured now would be wrong
        _use(model, library, expected_choice())


def _use(model: Decoder, library: ctypes.CDLL, choice: Choice) -> None:
    for layer in model.modules():
        if isinstance(layer, PackedLinear):
            layer.product = NativeProduct(layer, library, choice.most_rows)
    _read_in_bf16(model, choice)
    model.step = NativeStep(model, library)


def _read_in_bf16(model: Decoder, choice: Choice) -> None:
    """As plain weights are read in their own format, only packed ones are."""
    if packing_of(model):
        model.read_dtype = torch.bfloat16 if choice.reads_in_bf16 else None
