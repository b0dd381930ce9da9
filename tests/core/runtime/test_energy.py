"""Joules are what the counters have moved, also where one began anew meanwhile."""

from pathlib import Path

import pytest
import torch

from tissu_core.runtime import energy
from tissu_core.runtime.energy import EnergyMeter

CPU = torch.device("cpu")


def set_counter(folder: Path, number: int, microjoules: int) -> None:
    zone = folder / f"intel-rapl:{number}"
    zone.mkdir(exist_ok=True)
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text("10000000\n")


def test_counters_are_added_up_past_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "_POWERCAP", tmp_path)
    for number, before in enumerate((1_000_000, 9_500_000)):
        set_counter(tmp_path, number, before)
    meter = EnergyMeter(CPU)
    set_counter(tmp_path, 0, 3_000_000)
    set_counter(tmp_path, 1, 500_000)
    assert meter.joules() == pytest.approx(2 + 1)
    set_counter(tmp_path, 0, 3_500_000)
    assert meter.joules() == pytest.approx(3.5)


def test_where_nothing_tells_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "_POWERCAP", tmp_path)
    assert EnergyMeter(CPU).joules() is None
    set_counter(tmp_path, 0, 5)
    meter = EnergyMeter(CPU)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("no number")
    assert meter.joules() is None
