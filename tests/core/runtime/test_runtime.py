import mmap
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import CPU
from tissu_core.errors import ResourceError
from tissu_core.runtime import precision
from tissu_core.runtime.device import default_threads, measure_flops, resolve_device
from tissu_core.runtime.memory import free_bytes, used_bytes, utilization
from tissu_core.runtime.precision import DTYPES, autocast, explain_precision, resolve_precision
from tissu_core.runtime.seeds import derive_seed

PART = st.integers(0, 2**31) | st.text("abc ", min_size=1, max_size=3)
PARTS = st.lists(PART, min_size=1, max_size=4)
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="the platform tells only the peak, or nothing"
)


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_a_seed_is_the_same_in_every_version() -> None:
    assert derive_seed(1337, "dropout", 4) == 8_276_054_627_807_625_575


@given(parts=PARTS, other=PARTS)
def test_seeds_differ_by_part_and_by_order(parts: list[int | str], other: list[int | str]) -> None:
    assert 0 <= derive_seed(*parts) < 2**63
    torch.Generator().manual_seed(derive_seed(*parts))
    same = [*map(str, parts)] == [*map(str, other)]
    assert (derive_seed(*parts) == derive_seed(*other)) == same


def test_parts_are_not_glued_together() -> None:
    splits = [("ab", "c"), ("a", "bc"), ("abc",), ("c", "ab"), (1, 23), (12, 3), (123,)]
    assert len({derive_seed(*parts) for parts in splits}) == len(splits)


@pytest.mark.usefixtures("bare_machine")
def test_a_machine_without_accelerator_computes_on_its_processor() -> None:
    assert resolve_device("auto") == resolve_device("cpu") == CPU


@pytest.mark.usefixtures("bare_machine")
@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ResourceError, match=f"no {name} device") as caught:
        resolve_device(name)
    assert caught.value.hint == "--device cpu"


@pytest.mark.parametrize("name", [name for name in DTYPES if name != "fp8"])
def test_numbers_that_were_asked_for_stay(name: str) -> None:
    assert resolve_precision(name, CPU) == name


@pytest.fixture
def old_gpu(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A GPU without bf16, whose products this processor computes."""
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *size, dtype, device: ones(*size, dtype=dtype))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    return torch.device("cuda")


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp16"), ((6, 1), "fp32")])
def test_a_gpu_without_bf16_takes_what_is_fast_there_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    old_gpu: torch.device,
    capability: tuple[int, int],
    expected: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert resolve_precision("auto", old_gpu) == expected
    assert f"in {expected}" in explain_precision("auto", expected, old_gpu)
    assert explain_precision(expected, expected, old_gpu) == ""


def test_a_gpu_without_bf16_refuses_it_by_name(old_gpu: torch.device) -> None:
    with pytest.raises(ResourceError, match="--precision is bf16") as caught:
        resolve_precision("bf16", old_gpu)
    assert caught.value.hint == "--precision fp16"
    assert resolve_precision("fp16", old_gpu) == "fp16"


@pytest.mark.parametrize(
    ("capability", "is_there"), [((8, 0), False), ((8, 9), True), ((9, 0), True)]
)
def test_float8_is_of_cards_that_multiply_it_and_never_chosen(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], is_there: bool
) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    assert resolve_precision("auto", gpu) == "bf16"
    if is_there:
        assert resolve_precision("fp8", gpu) == "fp8"
        return
    with pytest.raises(
        ResourceError, match=r"Some GPU has compute capability 8\.0.*8\.9"
    ) as caught:
        resolve_precision("fp8", gpu)
    assert caught.value.hint == "--precision bf16"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_card_that_is_not_nvidias_is_asked_for_float8(
    monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    monkeypatch.setattr(torch.version, "hip", "7.0")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")
    monkeypatch.setattr(precision, "multiplies_float8", lambda device: is_there)
    if is_there:
        assert resolve_precision("fp8", torch.device("cuda")) == "fp8"
        return
    with pytest.raises(ResourceError, match="Some GPU does not multiply"):
        resolve_precision("fp8", torch.device("cuda"))


@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_float8_is_refused_where_there_is_no_such_card(kind: str) -> None:
    with pytest.raises(ResourceError, match="--precision is fp8, and this device is") as caught:
        resolve_precision("fp8", torch.device(kind))
    assert caught.value.hint is not None and caught.value.hint.startswith("--precision ")


@pytest.mark.parametrize(("has_bf16", "expected"), [(True, "bf16"), (False, "fp32")])
def test_numbers_fit_the_processor(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool, expected: str
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: has_bf16)
    assert resolve_precision("auto", CPU) == expected


def test_mixed_precision_is_of_products_only() -> None:
    left = torch.randn(4, 4)
    for name in DTYPES:
        with autocast(CPU, name):
            assert (left @ left).dtype == DTYPES[name]
            assert left.sum().dtype == left.dtype == torch.float32


@needs_proc
def test_memory_is_measured() -> None:
    assert 10 << 20 < used_bytes(CPU) < 1 << 40, "torch alone takes more than 10 MB"
    assert free_bytes(CPU) > 0
    assert utilization(CPU) is None


@needs_proc
def test_memory_that_is_taken_is_seen() -> None:
    before = used_bytes(CPU)
    with mmap.mmap(-1, 64 << 20) as block:  # of the system: a tensor may take what a test left
        block.write(b"1" * len(block))
        assert used_bytes(CPU) - before > 32 << 20


def test_speed_is_measured() -> None:
    assert 1e7 < measure_flops(CPU, torch.float32) < 1e16
    assert default_threads() >= 1


def test_freed_memory_is_kept_for_the_next_step() -> None:
    """In a process of its own, since it cannot be undone."""
    program = (
        "import resource, torch\n"
        "from tissu_core.runtime.allocator import keep_freed_memory\n"
        "is_kept = keep_freed_memory()\n"
        "counts = [resource.getrusage(resource.RUSAGE_SELF).ru_minflt]\n"
        "for _ in range(20):\n"
        "    torch.ones(16 << 20)\n"
        "    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)\n"
        "print(is_kept, min(b - a for a, b in zip(counts, counts[1:])))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    is_kept, count = ran.stdout.split()
    if is_kept == "False":
        pytest.skip("the C library is not GNU's")
    assert int(count) < 1000  # of 16,384 pages; a place not used before costs them once
