"""The most that a device multiplies: what model FLOPs utilisation is a share of."""

import torch

from tissu_core.runtime.device import measure_flops
from tissu_core.runtime.precision import DTYPES

_TERA = 1e12
_CARDS = (
    ("gb200", 2500.0),
    ("b200", 2250.0),
    ("gh200", 989.0),
    ("h200 nvl", 835.0),
    ("h200", 989.0),
    ("h100 nvl", 835.0),
    ("h100 pcie", 756.0),
    ("h100", 989.0),
    ("h800", 989.0),
    ("h20", 148.0),
    ("a100", 312.0),
    ("a800", 312.0),
    ("a40", 149.7),
    ("a30", 165.0),
    ("a10g", 70.0),
    ("a10", 125.0),
    ("l40s", 362.0),
    ("l40", 181.0),
    ("l4", 121.0),
    ("rtx a6000", 154.8),
    ("rtx 5090", 209.5),
    ("rtx 4090", 165.2),
    ("rtx 4080", 97.5),
    ("rtx 3090 ti", 80.0),
    ("rtx 3090", 71.2),
    ("rtx 3080", 59.5),
)
"""TFLOP/s of dense products in bf16 with sums in fp32, without sparsity, from NVIDIA's data sheets;
the first part of a name that fits. fp16 has the same."""
_FP16_CARDS = (("v100-pcie", 112.0), ("v100", 125.0), ("t4", 65.0))
"""Those that have no bf16."""


def peak_flops(device: torch.device, precision: str) -> float | None:
    """Operations a second in this format: of a card by its name, of a CPU as measured; else None.

    On a GPU fp32 may be in TF32 or not, so nothing is said of it.
    """
    if device.type == "cpu":
        return measure_flops(device, DTYPES[precision]) if precision in DTYPES else None
    if device.type != "cuda":
        return None
    return card_peak(torch.cuda.get_device_name(device), precision)


def card_peak(name: str, precision: str) -> float | None:
    """The same of a card with this name; None of one that is not known.

    And none with fp8: its products are of two formats, and have no one peak.
    """
    if precision not in ("bf16", "fp16"):
        return None
    cards = (*_CARDS, *_FP16_CARDS) if precision == "fp16" else _CARDS
    words = f" {name.lower().replace('-', ' ')} "
    if " laptop " in words:  # the same name with less of everything
        return None
    for card, peak in cards:
        if f" {card.replace('-', ' ')} " in words:
            return peak * _TERA
    return None
