"""How this machine reads long prompts fastest by packed matrices: measured once, and kept."""

import ctypes
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from tissu_core.decoding.native_product import NativeProduct
from tissu_core.layers.packed import PackedLinear
from tissu_core.runtime.precision import cpu_has_bf16
from tissu_core.storage import write_json

_SIZE = 1024
"""Of the matrix that is measured, which a core's cache holds."""
_FEW, _MANY = 64, 512
_ROUNDS = 7
_WORTH = 1.2
"""How much slower packed numbers may be here and still be read: where one matrix takes as long
either way, SmolLM2 is read in 0.8 of the time, as each layer's lies unpacked in new memory."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Up to how many rows packed numbers are multiplied, and what is multiplied beyond."""

    most_rows: int
    reads_in_bf16: bool


def expected_choice() -> Choice:
    """What to do before it is measured."""
    return Choice(48, True) if cpu_has_bf16() else Choice(128, False)


@torch.no_grad()
def find_choice(library: ctypes.CDLL) -> Choice:
    """What was measured with this library before, else now, in about 0.1 s."""
    kept = Path(library._name).with_suffix(".json")
    with suppress(OSError, ValueError, TypeError):
        return Choice(**json.loads(kept.read_text("utf-8")))
    chosen = _measured(library)
    with suppress(Exception):  # it is measured again next time
        write_json(kept, asdict(chosen))
    return chosen


def _measured(library: ctypes.CDLL) -> Choice:
    layer = PackedLinear(_SIZE, _SIZE, 4, 32, bias=False)
    layer.to_panels()
    packed, unpacked = NativeProduct(layer, library), NativeProduct(layer, library, 0)
    wide, dtypes = torch.ones(_MANY, _SIZE), [torch.float32]
    if cpu_has_bf16():  # where it has to be emulated, hundreds of rows take seconds
        dtypes.append(torch.bfloat16)
    many = [wide.to(dtype) for dtype in dtypes]
    seconds = _seconds([(unpacked, rows) for rows in many])
    rows = many[seconds.index(min(seconds))]
    few, is_half = rows[:_FEW], rows.dtype == torch.bfloat16
    all_packed, few_packed, all_unpacked, few_unpacked = _seconds(
        [(packed, rows), (packed, few), (unpacked, rows), (unpacked, few)]
    )
    if all_packed <= _WORTH * all_unpacked:
        return Choice(sys.maxsize, is_half)
    each = few_packed / _FEW
    beyond = (all_unpacked - few_unpacked) / (_MANY - _FEW)
    fixed = max(0.0, all_unpacked - beyond * _MANY)
    most = sys.maxsize if each <= beyond else int(fixed / (each - beyond))
    return Choice(most, is_half)


def _seconds(products: list[tuple[Callable[[Tensor], Tensor], Tensor]]) -> list[float]:
    """The shortest of some products of each with its rows, in turn: others compute here too."""
    found = [float("inf")] * len(products)
    for _ in range(_ROUNDS):
        for at, (product, rows) in enumerate(products):
            began = time.perf_counter()
            product(rows)
            found[at] = min(found[at], time.perf_counter() - began)
    return found
