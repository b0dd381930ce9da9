"""The one map from names of number formats to dtypes, and mixed precision by autocast.

With fp8, layers round what they multiply themselves (``layers/float8.py``); all else is as in bf16.
"""

from contextlib import AbstractContextManager, nullcontext

import torch

from tissu_core.errors import ResourceError

DTYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8": torch.bfloat16,
}
"""What is multiplied, and of fp8 what layers take and give."""


_TENSOR_CORES = (7, 0)
"""From this CUDA capability on, products in fp16 are faster than those in fp32."""
_FLOAT8 = (8, 9)
"""From this one on there are products in float8: Ada, Hopper and what came after them."""


def resolve_precision(name: str, device: torch.device) -> str:
    """The format for "auto": bf16 where the device multiplies it natively, else fp16 or fp32.

    Raises:
        ResourceError: If it was asked for by name and the device does not have it.
    """
    if name == "auto":
        if has_native_bf16(device):
            return "bf16"
        has_cores = device.type == "cuda" and torch.cuda.get_device_capability() >= _TENSOR_CORES
        return "fp16" if has_cores else "fp32"
    if name == "fp8":
        _require_float8(device)
    elif name != "fp32" and not _multiplies(name, device):
        other = "fp16" if name == "bf16" and _multiplies("fp16", device) else "fp32"
        raise ResourceError(
            f"--precision is {name}, and this {device.type} device does not multiply it",
            hint=f"--precision {other}",
        )
    return name


def explain_precision(asked: str, chosen: str, device: torch.device) -> str:
    """Why "auto" chose what a person with a GPU may not expect; "" where there is no need."""
    if asked != "auto" or device.type != "cuda" or chosen == "bf16":
        return ""
    how = "fp16, with a scaled loss" if chosen == "fp16" else "fp32"
    return f"this GPU has no bf16, so its products are in {how}"


def _require_float8(device: torch.device) -> None:
    """Refuse a device without products in float8, and say what it is."""
    if device.type != "cuda":
        kind = {"cpu": "a processor", "mps": "an Apple GPU"}.get(device.type, device.type)
        found = f"this device is {kind}: float8 products are those of GPUs"
    elif torch.version.hip:
        # AMD's cards differ in the formats they have, so this one is asked.
        found = "" if multiplies_float8(device) else f"{_name(device)} does not multiply these"
    elif (capability := torch.cuda.get_device_capability(device)) >= _FLOAT8:
        found = ""
    else:
        least, has = (".".join(map(str, version)) for version in (_FLOAT8, capability))
        found = f"{_name(device)} has compute capability {has}: float8 products begin at {least}"
    if found:
        other = "bf16" if _multiplies("bf16", device) else "fp16"
        raise ResourceError(f"--precision is fp8, and {found}", hint=f"--precision {other}")


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device)


def multiplies_float8(device: torch.device) -> bool:
    """Whether torch multiplies both of float8's formats there; on a CPU it does, slowly."""
    sides = torch.zeros(16, 16, device=device)
    scale = torch.ones((), device=device)
    right = sides.to(torch.float8_e4m3fn).t()
    try:
        for kind in (torch.float8_e4m3fn, torch.float8_e5m2):
            torch._scaled_mm(
                sides.to(kind), right, scale_a=scale, scale_b=scale, out_dtype=torch.bfloat16
            )
    except (RuntimeError, TypeError, NotImplementedError):
        return False
    return True


def has_native_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for bf16, without which it is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and cpu_has_bf16()


def _multiplies(name: str, device: torch.device) -> bool:
    """Whether the device has products in this format, on a CPU emulated ones too."""
    if device.type == "cuda" and name == "bf16":
        return has_native_bf16(device)
    try:
        torch.ones(2, 2, dtype=DTYPES[name], device=device).mm(
            torch.ones(2, 2, dtype=DTYPES[name], device=device)
        )
    except (RuntimeError, TypeError):
        return False
    return True


def cpu_has_bf16() -> bool:
    """Whether this CPU has bf16 instructions.

    Emulated bf16 is slower than fp32; AVX-512 BF16 measured 1.5 to 2.4 times faster per product.
    """
    capabilities = torch.backends.cpu.get_cpu_capability()
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return capabilities.startswith("AVX512") and any(
        getattr(torch.cpu, probe, bool)() for probe in probes
    )


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Matrix products in ``precision``; sums, norms and losses stay in fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def device_of_fp64(device: torch.device) -> torch.device:
    """Where exact sums are kept: on the device, but MPS has no fp64."""
    return torch.device("cpu") if device.type == "mps" else device
