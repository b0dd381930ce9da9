"""Products with packed matrices by ``native/products.h``, and records that point at tensors."""

import ctypes
import sys

import torch
from torch import Tensor, nn
from torch.nn import functional

from tissu_core.layers.packed import PackedLinear
from tissu_core.native import structures


class Pointed:
    """Records of C that point at a model's tensors, and these tensors."""

    def __init__(self) -> None:
        self._kept: list[Tensor] = []

    def matrix(self, layer: nn.Module) -> structures.Matrix:
        """A projection; of one with a ``NativeProduct`` what that has."""
        assert isinstance(layer, nn.Linear | PackedLinear)
        if isinstance(layer, PackedLinear) and isinstance(layer.product, NativeProduct):
            return layer.product.record
        made = structures.Matrix(
            numbers=self._pointer(layer.weight),
            bias=None if layer.bias is None else self.floats(layer.bias),
            rows=layer.out_features,
            cols=layer.in_features,
            bits=32,
        )
        if isinstance(layer, PackedLinear):
            assert layer.is_in_panels
            made.bits, made.group = layer.bits, layer.group
            made.scale = self._pointer(layer.weight_scale)
            made.low = self._pointer(layer.weight_min)
        return made

    def floats(self, tensor: Tensor) -> int:
        """The address of numbers in fp32."""
        return self._pointer(tensor.float())

    def _pointer(self, tensor: Tensor) -> int:
        kept = tensor.detach().contiguous()
        self._kept.append(kept)
        return kept.data_ptr()


class NativeProduct:
    """The products of rows with a packed matrix: of few as the step's are, of many unpacked."""

    def __init__(
        self, layer: PackedLinear, library: ctypes.CDLL, most_rows: int = sys.maxsize
    ) -> None:
        self._library, self._most_rows = library, most_rows
        self._pointed = Pointed()
        self.record = self._pointed.matrix(layer)
        self._bias = layer.bias

    def __call__(self, x: Tensor) -> Tensor:
        """(..., inputs) to (..., outputs), in x's dtype or that of autocast."""
        if torch.is_autocast_enabled("cpu"):
            x = x.to(torch.get_autocast_dtype("cpu"))
        rows = x.reshape(-1, x.shape[-1])
        rows = rows if rows.dtype == torch.bfloat16 else rows.float()
        product = self._of_few if len(rows) <= self._most_rows else self._of_many
        return product(rows).to(x.dtype).view(*x.shape[:-1], -1)

    def _of_few(self, rows: Tensor) -> Tensor:
        rows = rows.contiguous()
        out = torch.empty(len(rows), self.record.rows, dtype=rows.dtype)
        failed = self._library.multiply_rows(
            ctypes.byref(self.record),
            ctypes.c_void_p(rows.data_ptr()),
            len(rows),
            rows.dtype == torch.float32,
            torch.get_num_threads(),
            ctypes.c_void_p(out.data_ptr()),
        )
        if failed:
            raise MemoryError
        return out

    def _of_many(self, rows: Tensor) -> Tensor:
        weight = torch.empty(self.record.rows, self.record.cols, dtype=rows.dtype)
        self._library.unpack_matrix(
            ctypes.byref(self.record),
            rows.dtype == torch.float32,
            torch.get_num_threads(),
            ctypes.c_void_p(weight.data_ptr()),
        )
        bias = None if self._bias is None else self._bias.to(rows.dtype)
        return functional.linear(rows, weight, bias)
