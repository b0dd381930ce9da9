"""What a device has used, where the machine tells."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch

_POWERCAP = Path("/sys/class/powercap")
_MICRO, _MILLI = 1e-6, 1e-3


class EnergyMeter:
    """Joules since it was made: of a GPU by its driver, else of the processors by their counters.

    The package ``pynvml`` asks the driver; Linux lets only root read the counters (RAPL), whose
    figures are of whole processors and all that runs on them.
    """

    def __init__(self, device: torch.device) -> None:
        self._read = _driver_of(device) if device.type == "cuda" else _of_processors
        self._total = 0.0
        self._last = self._read()

    def joules(self) -> float | None:
        """None where nothing tells.

        A processor's counter begins anew after 65 kJ or more, minutes of its full power; more than
        one such turn between two calls would not be seen.
        """
        now = self._read()
        if not now or not self._last or len(now) != len(self._last):
            return None
        for (later, whole), (earlier, _) in zip(now, self._last, strict=True):
            self._total += later - earlier if later >= earlier else later + whole - earlier
        self._last = now
        return self._total


Reading = list[tuple[float, float]]
"""Of each counter what it says, and where it begins anew."""


def _of_processors() -> Reading:
    found = []
    try:
        for zone in sorted(_POWERCAP.glob("intel-rapl:?")):
            now, whole = (zone / "energy_uj", zone / "max_energy_range_uj")
            found.append((float(now.read_text()) * _MICRO, float(whole.read_text()) * _MICRO))
    except (OSError, ValueError):
        return []
    return found


def _driver_of(device: torch.device) -> Callable[[], Reading]:
    """By its UUID: torch numbers only the devices that CUDA_VISIBLE_DEVICES leaves, NVML all."""
    if find_spec("pynvml") is None:
        return list
    import pynvml  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    try:
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(device).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError:
        return list

    def read() -> Reading:
        try:
            used = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except pynvml.NVMLError:
            return []
        return [(float(used) * _MILLI, 0.0)]

    return read
