"""A model comes back from its GGUF as it went in, and ggml's own library reads the file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader

from tests import architectures
from tests.architectures import ARCHITECTURES
from tests.gguf_files import facts_of, rope_tensors
from tests.samples import CPU, random_ids
from tissu_core.checkpoint.gguf.header import read_gguf
from tissu_core.checkpoint.gguf.metadata import FILE_TYPES
from tissu_core.checkpoint.model_directory import LoadedModel, load_model
from tissu_core.errors import ConfigError, InputError
from tissu_core.export.gguf import plan_export
from tissu_core.text.tokenizer import Tokenizer

CASES = [name for name, each in ARCHITECTURES.items() if each.gguf is not None]
UNSAID = {
    "llama 3 short": "rope_freqs",
    "smollm3 windowed": "sliding_window",
    "qwen2 windowed": "sliding_window",
    "qwen3 windowed": "sliding_window",
    "gemma2 uncapped": "attn_logit_softcapping",
}
TEXT = "The quick brown fox; naïve café, 12345 <|endoftext|> 你好\n\n  return x_1"

Save = Callable[[str], tuple[Path, LoadedModel]]


@pytest.fixture
def saved(tmp_path: Path, tiny_tokenizer: Tokenizer) -> Save:
    def save(name: str) -> tuple[Path, LoadedModel]:
        architectures.save(name, tmp_path / "theirs", tiny_tokenizer)
        return tmp_path / "theirs", load_model(tmp_path / "theirs", CPU)

    return save


def export(loaded: LoadedModel, path: Path, kind: str = "f32") -> LoadedModel:
    plan = plan_export(
        loaded.model,
        loaded.tokenizer,
        kind=kind,
        name="sample",
        family=loaded.family,
        end_ids=loaded.end_ids,
    )
    assert sum(plan.write(path)) < plan.num_bytes == path.stat().st_size
    return load_model(path, CPU)


@pytest.mark.parametrize("name", CASES)
def test_a_model_comes_back_as_it_was(name: str, saved: Save, tmp_path: Path) -> None:
    directory, before = saved(name)
    path = tmp_path / "model.gguf"
    after = export(before, path)
    assert after.model.config == before.model.config
    assert after.end_ids == before.end_ids
    ids = random_ids(2, 40)
    with torch.no_grad():
        difference = (after.model(ids) - before.model(ids)).abs().max()
    assert difference < 1e-5
    for text in (TEXT, "", " x", "\n"):
        assert after.tokenizer.encode(text) == before.tokenizer.encode(text)
    reader = GGUFReader(path)
    architecture = ARCHITECTURES[name].gguf
    for key, value in facts_of(directory).items():
        found = reader.get_field(f"{architecture}.{key}")
        assert found is not None, key
        assert found.contents() == pytest.approx(value), key
    vectors = {tensor.name: tensor for tensor in reader.tensors}
    for tensor, values in rope_tensors(directory).items():
        np.testing.assert_allclose(vectors[tensor].data, values, rtol=1e-6)


@pytest.mark.parametrize(("name", "field"), UNSAID.items())
def test_what_the_file_cannot_say_is_refused(
    name: str, field: str, saved: Save, tmp_path: Path
) -> None:
    _, loaded = saved(name)
    with pytest.raises(ConfigError, match=field) as caught:
        export(loaded, tmp_path / "model.gguf")
    assert caught.value.hint
    assert not (tmp_path / "model.gguf").exists()


@pytest.mark.parametrize("kind", FILE_TYPES)
def test_packed_weights_are_near_those_they_were(kind: str, saved: Save, tmp_path: Path) -> None:
    _, before = saved("llama")
    path = tmp_path / "model.gguf"
    after = export(before, path, kind)
    kinds = {tensor.kind.name for tensor in read_gguf(path).tensors.values()}
    # Rows of 32 and 48: blocks of 256 divide neither, those of 32 the first.
    assert (
        kinds
        == {
            "f32": {"F32"},
            "f16": {"F32", "F16"},
            "q8_0": {"F32", "F16", "Q8_0"},
            "q4_0": {"F32", "F16", "Q8_0", "Q4_0"},
            "q4_k": {"F32", "F16", "Q8_0", "Q5_0"},
        }[kind]
    )
    ids = random_ids(2, 40)
    with torch.no_grad():
        ours, theirs = (m.model(ids).log_softmax(-1) for m in (after, before))
    # How far what is said is from what was, in nats.
    divergence = (theirs.exp() * (theirs - ours)).sum(-1).mean()
    assert divergence < {"f32": 1e-9, "f16": 1e-6, "q8_0": 1e-3, "q4_0": 0.05, "q4_k": 0.01}[kind]


def test_weights_that_are_no_numbers_are_named(saved: Save, tmp_path: Path) -> None:
    _, loaded = saved("qwen3")
    with torch.no_grad():
        loaded.model.model.layers[1].mlp.up_proj.weight[3, 4] = float("nan")
    with pytest.raises(InputError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        export(loaded, tmp_path / "model.gguf")
