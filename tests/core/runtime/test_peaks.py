"""What a device could multiply at most."""

import pytest
import torch

from tissu_core.runtime.device import measure_flops
from tissu_core.runtime.peaks import card_peak, peak_flops


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A10G", 70e12),
        ("NVIDIA A10", 125e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA GeForce RTX 4090", 165.2e12),
        ("NVIDIA GeForce RTX 3090 Ti", 80e12),
        ("NVIDIA GeForce RTX 3090", 71.2e12),
        ("Tesla T4", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("AMD Instinct MI300X", None),
    ],
)
def test_a_card_is_known_by_its_name(name: str, peak: float | None) -> None:
    assert card_peak(name, "bf16") == peak
    assert card_peak(name, "fp32") is None
    if peak is not None:
        assert card_peak(name, "fp16") == peak


def test_cards_without_bf16_have_fp16() -> None:
    assert card_peak("Tesla T4", "fp16") == 65e12
    assert card_peak("Tesla V100-SXM2-16GB", "fp16") == 125e12
    assert card_peak("Tesla V100-PCIE-16GB", "fp16") == 112e12


def test_a_processor_is_measured_once() -> None:
    cpu = torch.device("cpu")
    found = peak_flops(cpu, "fp32")
    assert found == measure_flops(cpu, torch.float32) > 1e8
    assert peak_flops(torch.device("mps"), "bf16") is None
