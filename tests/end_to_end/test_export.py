"""``tissu export`` through the real command; what it wrote, in the commands that read a model."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf import GGUFReader

from tests.end_to_end.conftest import Trained
from tissu_core.errors import ResourceError

Copy = Callable[[], Trained]


@pytest.fixture
def trained(trained_copy: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    monkeypatch.chdir(tmp_path)
    return trained_copy()


def test_a_run_becomes_a_file_that_answers_alike(trained: Trained, tmp_path: Path) -> None:
    tissu = trained.tissu
    result = tissu("export", "gguf", "cloth", "--type", "f16", "--json")
    assert result.code == 0, result.err
    path = tmp_path / "cloth-f16.gguf"
    assert Path(result.json["path"]).resolve() == path.resolve()
    assert result.json["num_bytes"] == path.stat().st_size
    reader = GGUFReader(path)
    assert reader.get_field("general.name").contents() == "cloth"
    assert reader.get_field("tokenizer.ggml.pre").contents() == "qwen2"
    counts = dict(text.split() for text in result.json["tensor_types"])
    assert sum(map(int, counts.values())) == len(reader.tensors)
    prompt = ("-p", "The weaver", "--greedy", "--max-tokens", "24")
    assert tissu("generate", path, *prompt).out == tissu("generate", "cloth", *prompt).out
    plain = tissu("eval", "ppl", trained.corpus, "-m", "cloth", "--json").json
    packed = tissu("eval", "ppl", trained.corpus, "-m", path, "--json").json
    assert packed["num_tokens"] == plain["num_tokens"]
    assert packed["bits_per_byte"] == pytest.approx(plain["bits_per_byte"], rel=1e-3)


def test_people_see_what_was_written_and_what_to_do(trained: Trained) -> None:
    result = trained.tissu("export", "gguf", "cloth", "--type", "q8_0", "-o", "small/my cloth.gguf")
    assert result.code == 0, result.err
    assert "bits a weight" in result.out
    assert "tissu chat 'small/my cloth.gguf'" in result.err
    assert [*Path("small").iterdir()] == [Path("small/my cloth.gguf")]


def test_rounding_twice_is_told_and_capitals_are_read(trained: Trained) -> None:
    first = trained.tissu("export", "gguf", "cloth", "--type", "Q8_0")
    assert first.code == 0, first.err
    assert "rounding twice" not in first.err
    again = trained.tissu("export", "gguf", "cloth-q8_0.gguf", "--type", "q4_0")
    assert again.code == 0, again.err
    assert "is Q8_0 already, and rounding twice loses more" in again.err
    wide = trained.tissu("export", "gguf", "cloth-q8_0.gguf", "--type", "f16")
    assert "rounding twice" not in wide.err


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["cloth", "-o", "there.gguf"], 2, "there-2.gguf"),
        (["cloth", "-o", "."], 2, "model.gguf"),
        (["cloth", "--type", "q3_k"], 2, "q4_k"),
        (["clohtt"], 3, "cloth"),
        (["cloth-int8"], 3, "made from"),
    ],
)
def test_what_cannot_be_exported(
    trained: Trained, tmp_path: Path, arguments: list[str], code: int, word: str
) -> None:
    there = tmp_path / "there.gguf"
    there.write_bytes(b"mine")
    if "cloth-int8" in arguments:
        assert trained.tissu("quantize", "cloth").code == 0
    before = sorted(tmp_path.iterdir())
    result = trained.tissu("export", "gguf", *arguments)
    assert result.code == code, result.err
    assert word in result.err
    assert there.read_bytes() == b"mine"
    assert sorted(tmp_path.iterdir()) == before


def test_a_disk_too_small_is_told_before_writing(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tissu_core.runs.new_directory.free_bytes", lambda path: 1000)
    result = trained.tissu("export", "gguf", "cloth")
    assert result.code == ResourceError.code
    assert "nothing was written" in result.err
    assert not [*tmp_path.glob("*cloth*")]


def test_a_vocabulary_that_llama_cpp_cannot_cut_is_refused(
    trained: Trained, tmp_path: Path
) -> None:
    tokenizer = trained.run / "model" / "tokenizer.json"
    (trained.run / "model" / "tissu.json").unlink()
    state = json.loads(tokenizer.read_text())
    state["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\p{L}+"
    tokenizer.write_text(json.dumps(state))
    result = trained.tissu("export", "gguf", trained.run / "model", "-o", "x.gguf")
    assert result.code == 2
    assert "cuts texts in a way of its own" in result.err
    assert "tissu export hf" in result.err
    assert not (tmp_path / "x.gguf").exists()


@pytest.mark.parametrize(
    ("kind", "dtype"), [("f32", "float32"), ("f16", "float16"), ("bf16", "bfloat16")]
)
def test_a_directory_for_transformers(
    trained: Trained, tmp_path: Path, kind: str, dtype: str
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    result = trained.tissu("export", "hf", "cloth", "--type", kind, "-o", "theirs", "--json")
    assert result.code == 0, result.err
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "theirs", dtype="auto")
    assert str(theirs.dtype) == f"torch.{dtype}"
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "theirs")
    ids = tokenizer("The weaver", return_tensors="pt").input_ids
    assert (
        ids[0].tolist()
        == trained.tissu("tokenize", "encode", "The weaver", "-t", "cloth", "--json").json["ids"]
    )
    assert trained.tissu("chat", "theirs", "-p", "The").code == 0


def test_an_archive_for_numpy(trained: Trained, tmp_path: Path) -> None:
    import numpy as np

    result = trained.tissu("export", "npz", "cloth", "--json")
    assert result.code == 0, result.err
    path = tmp_path / "cloth-npz" / "model.npz"
    with np.load(path) as arrays:
        assert "model.layers.0.mlp.up_proj.weight" in arrays
        assert json.loads(str(arrays["config"]))["model_type"] == "qwen3"
    prompt = ("-p", "The weaver", "--greedy", "--max-tokens", "24")
    assert (
        trained.tissu("generate", path, *prompt).out
        == trained.tissu("generate", "cloth", *prompt).out
    )
