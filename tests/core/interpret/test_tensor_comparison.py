import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.gguf_files import Q8_0, write_gguf
from tests.samples import CPU, make_config, make_model
from tissu_core.checkpoint.model_directory import load_model, open_model, write_model_files
from tissu_core.checkpoint.weights import save_tensors
from tissu_core.compress.int4 import quantize_int4
from tissu_core.compress.int8 import quantize_int8
from tissu_core.errors import InputError
from tissu_core.events.tensors import TensorSummarized
from tissu_core.interpret.tensors import comparison as tensor_comparison
from tissu_core.interpret.tensors.comparison import compare_tensors
from tissu_core.interpret.tensors.reading import TensorReader
from tissu_core.interpret.tensors.summaries import Wanted, summarize
from tissu_core.models.decoder import Decoder
from tissu_core.text.tokenizer import Tokenizer

GATE = "model.layers.1.mlp.gate_proj.weight"


def matrix(seed: int = 0) -> Tensor:
    return torch.randn(40, 30, generator=torch.Generator().manual_seed(seed))


def test_a_change_is_measured_by_torchs_norms() -> None:
    before, after = matrix(), matrix() + 0.1 * matrix(1)
    after[7, 11] += 5
    found = compare_tensors("x", before, after)
    moved = after.double() - before.double()
    assert found.change == pytest.approx(float(moved.norm() / before.double().norm()))
    cosine = torch.cosine_similarity(before.flatten().double(), after.flatten().double(), dim=0)
    assert found.cosine == pytest.approx(float(cosine))
    assert (found.place, found.left_out) == ((7, 11), 0)
    assert found.largest == pytest.approx(float(moved[7, 11]))


def test_the_same_has_not_changed_and_the_opposite_has() -> None:
    same = compare_tensors("x", matrix(), matrix())
    assert (same.change, same.largest) == (0.0, 0.0)
    assert same.cosine == pytest.approx(1)
    opposite = compare_tensors("x", matrix(), -matrix())
    assert (opposite.change, opposite.cosine) == (pytest.approx(2), pytest.approx(-1))


def test_zeros_have_no_relative_change() -> None:
    nothing = compare_tensors("x", torch.zeros(3), torch.zeros(3))
    assert (nothing.change, nothing.cosine) == (0.0, 1.0)
    grown = compare_tensors("x", torch.zeros(3), torch.tensor([0.0, -2.0, 1.0]))
    assert (grown.change, grown.cosine, grown.largest, grown.place) == (None, 0.0, -2.0, (1,))


def test_what_is_no_number_in_either_is_left_out() -> None:
    before, after = matrix(), matrix()
    before[0, 0], after[1, 1], after[2, 2] = math.nan, math.inf, after[2, 2] + 1
    found = compare_tensors("x", before, after)
    assert (found.left_out, found.place) == (2, (2, 2))
    assert found.largest == pytest.approx(1)


def test_parts_of_a_large_tensor_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    after = matrix()
    after[33, 3] += 9
    whole = compare_tensors("x", matrix(), after)
    monkeypatch.setattr(tensor_comparison, "PART", 71)
    parts = compare_tensors("x", matrix(), after)
    assert parts.place == whole.place == (33, 3)
    assert parts.change == pytest.approx(whole.change)


Save = Callable[[str, Decoder], Path]


@pytest.fixture
def save(tmp_path: Path, tiny_tokenizer: Tokenizer) -> Save:
    def save(name: str, model: Decoder) -> Path:
        (tmp_path / name).mkdir()
        write_model_files(tmp_path / name, model, tiny_tokenizer)
        return tmp_path / name

    return save


def model(**changes: object) -> Decoder:
    return make_model(make_config(hidden_size=64, intermediate_size=128, head_dim=16, **changes))


def read(path: Path) -> TensorReader:
    return TensorReader(open_model(path))


def against(path: Path, other: Path | None, query: str = GATE) -> TensorSummarized:
    compared = None if other is None else read(other)
    (found,) = summarize(read(path), query, Wanted(bins=8), compared)
    return found


@pytest.mark.parametrize("bits", [8, 4])
def test_a_packed_model_is_read_as_the_numbers_it_stands_for(save: Save, bits: int) -> None:
    packed = model()
    quantize_int8(packed) if bits == 8 else quantize_int4(packed, 32)
    path = save("packed", packed)
    reader = read(path)
    loaded = load_model(path, CPU).model
    layer = loaded.model.layers[1].mlp.gate_proj  # type: ignore[union-attr, index]
    torch.testing.assert_close(reader.read(GATE), layer.dequantize())  # type: ignore[operator]
    assert reader.shape(GATE) == tuple(reader.read(GATE).shape) == (128, 64)
    assert not any(name.endswith(("_scale", "_min")) for name in reader.names)
    assert sorted(reader.names) == sorted(read(save("full", model())).names)
    stored = sum(facts.num_bytes for facts in reader.model.tensors.values())
    assert sum(reader.listed(name).num_bytes for name in reader.names) == stored


@pytest.mark.parametrize("bits", [8, 4])
def test_the_error_of_packing_is_measured_against_the_full_model(save: Save, bits: int) -> None:
    packed, full = model(), save("full", model())
    quantize_int8(packed) if bits == 8 else quantize_int4(packed, 32)
    path = save("packed", packed)
    found = against(path, full)
    original, stored = read(full).read(GATE).double(), read(path).read(GATE).double()
    expected = 10 * math.log10(original.square().sum() / (stored - original).square().sum())
    assert found.rounding is not None
    assert found.rounding.measured_db == pytest.approx(expected)
    assert found.rounding.expected_db == pytest.approx(expected, abs=1.5)
    assert found.dtype == f"int{bits}"
    alone = against(path, None).rounding
    assert alone is not None and alone.measured_db is None
    assert alone.expected_db == pytest.approx(found.rounding.expected_db)
    assert against(full, path).rounding is None, "the full model was not packed"


def test_a_gguf_is_held_against_what_it_was_made_of(
    save: Save, tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    full = save("full", model(qk_norm=False))
    path = write_gguf(tmp_path / "m.gguf", full, "llama", tokenizer=tiny_tokenizer, kind=Q8_0)
    found = against(path, full)
    assert (found.dtype, found.shape) == ("Q8_0", (128, 64))
    assert found.rounding is not None and found.comparison is not None
    assert found.rounding.measured_db == pytest.approx(found.rounding.expected_db, abs=0.5)
    assert 40 < found.rounding.measured_db < 60
    assert found.comparison.cosine > 0.9999


def test_other_shapes_are_named_and_not_compared(save: Save) -> None:
    one, other = save("one", model()), save("other", model(vocab_size=400))
    found = against(one, other, "embed")
    assert found.comparison is None
    assert "400 x 64" in found.not_compared
    assert against(one, other).comparison is not None


def test_a_model_without_any_of_them_is_refused(save: Save, tmp_path: Path) -> None:
    one = save("one", model())
    (tmp_path / "odd").mkdir()
    save_tensors(tmp_path / "odd" / "model.safetensors", {"other.weight": torch.ones(3)})
    with pytest.raises(InputError, match="has no tensor model"):
        against(one, tmp_path / "odd")
