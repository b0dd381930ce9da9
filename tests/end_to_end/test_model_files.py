"""Models in one file, through the real command: wherever a MODEL is asked for."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType

from tests.core.checkpoint.gguf.bytes_of import file, key, number, tensor
from tests.end_to_end.conftest import Tissu, Trained
from tests.gguf_files import F32, Q8_0, write_gguf
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.text.tokenizer import Tokenizer

Copy = Callable[[], Trained]


def as_gguf(trained: Trained, path: Path, kind: GGMLQuantizationType = F32) -> Path:
    directory = trained.run / "model"
    config = json.loads((directory / "config.json").read_text())
    facts = {
        "embedding_length": config["hidden_size"],
        "feed_forward_length": config["intermediate_size"],
        "context_length": config["max_position_embeddings"],
        "attention.head_count": config["num_attention_heads"],
        "attention.head_count_kv": config["num_key_value_heads"],
        "attention.key_length": config["head_dim"],
        "attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "rope.freq_base": config["rope_theta"],
    }
    path.parent.mkdir(exist_ok=True)
    tokenizer = Tokenizer.load(directory)
    return write_gguf(path, directory, "qwen3", facts, tokenizer=tokenizer, kind=kind)


def as_npz(trained: Trained, folder: Path) -> Path:
    shutil.copytree(trained.run / "model", folder)
    (folder / "tissu.json").unlink()
    tensors = load_tensors(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    np.savez(folder / "cloth.npz", **{name: t.numpy() for name, t in tensors.items()})
    return folder / "cloth.npz"


@pytest.fixture(scope="module")
def stored(trained_once: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The finished run beside a store that holds it as two GGUF files."""
    home = tmp_path_factory.mktemp("stored") / "home"
    shutil.copytree(trained_once.tissu.home, home)
    trained = Trained(Tissu(home), trained_once.corpus, trained_once.result)
    as_gguf(trained, home / "models" / "silk.gguf")
    as_gguf(trained, home / "models" / "packed.gguf", Q8_0)
    return trained


GENERATE = ("-p", "The weaver", "--greedy", "--max-tokens", "12", "--json")


@pytest.mark.parametrize("given", ["silk", "silk.gguf", "path"])
def test_a_gguf_is_generated_from_by_name_stem_or_path(stored: Trained, given: str) -> None:
    tissu = stored.tissu
    model = tissu.home / "models" / "silk.gguf" if given == "path" else given
    ours = tissu("generate", model, *GENERATE)
    assert ours.code == 0, ours.err
    assert ours.json["text"] == tissu("generate", "cloth", *GENERATE).json["text"]


def test_the_store_lists_files(stored: Trained) -> None:
    found = {e["name"]: e for e in stored.tissu("models", "list", "--json").json["models"]}
    entry = found["silk.gguf"]
    assert entry["source"] == "store"
    assert entry["num_bytes"] == Path(entry["path"]).stat().st_size > 0


def test_the_newest_model_may_be_a_file(stored: Trained, tmp_path: Path) -> None:
    tissu = Tissu(tmp_path / "home")
    (tissu.home / "models").mkdir(parents=True)
    shutil.copyfile(stored.tissu.home / "models/silk.gguf", tissu.home / "models/only.gguf")
    assert tissu("generate", *GENERATE).code == 0


def test_perplexity_is_that_of_the_directory(stored: Trained) -> None:
    measured = [
        stored.tissu("eval", "ppl", stored.corpus / "text-00.txt", "-m", name, "--json").json
        for name in ("cloth", "silk", "packed")
    ]
    assert measured[0]["loss"] == measured[1]["loss"] != measured[2]["loss"]
    assert measured[2]["loss"] == pytest.approx(measured[0]["loss"], abs=0.05)


def test_tokens_are_those_of_the_directory(stored: Trained) -> None:
    text = "The sailor mended 42 sails. Naïve façades."
    ids = [stored.tissu("tokenize", "encode", "-t", m, stdin=text).out for m in ("cloth", "silk")]
    assert ids[0] == ids[1] != ""
    assert stored.tissu("tokenize", "decode", "-t", "silk", stdin=ids[1]).out.strip() == text


def test_chat_answers(stored: Trained) -> None:
    assert stored.tissu("chat", "silk", "-p", "The weaver", "--max-tokens", "3").code == 0


def test_a_file_is_inspected_like_its_directory(stored: Trained) -> None:
    tissu = stored.tissu
    ours, theirs = (
        tissu("inspect", "weights", "layers.0", model, "--json").json["tensors"]
        for model in ("silk", "cloth")
    )
    assert ours == theirs
    ours, theirs = (
        tissu("inspect", "model", model, "--json").json | {"path": ""}
        for model in ("silk", "cloth")
    )
    assert ours == theirs


def test_packed_tensors_are_named_and_counted_as_they_are(stored: Trained) -> None:
    tissu = stored.tissu
    tensors = tissu("inspect", "weights", "layers.0", "packed", "--json").json["tensors"]
    kinds = {tensor["name"].split(".")[-2]: tensor["dtype"] for tensor in tensors}
    assert kinds["q_proj"] == "Q8_0" and kinds["input_layernorm"] == "float32"
    report = tissu("inspect", "model", "packed", "--json").json
    whole = tissu("inspect", "model", "cloth", "--json").json
    packed = report["bytes_by_dtype"]
    assert packed["Q8_0"] * 32 / 34 + packed["F32"] / 4 == whole["num_parameters"]
    assert report["num_bytes"] == sum(packed.values())


def test_inspection_reads_only_what_it_shows(
    stored: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tissu_core.checkpoint.gguf.header import GgufFile

    packed, read = GgufFile.packed, []
    monkeypatch.setattr(GgufFile, "packed", lambda *args: (read.append(args[1]), packed(*args))[1])
    assert stored.tissu("inspect", "model", "silk").code == 0
    assert read == []
    assert stored.tissu("inspect", "weights", "layers.0.mlp.up_proj", "silk").code == 0
    assert len(read) == 1


def test_a_gguf_is_quantized_and_keeps_its_end_tokens(stored: Trained) -> None:
    tissu = stored.tissu
    made = tissu("quantize", "silk", "--text", stored.corpus / "text-00.txt", "--json")
    assert made.code == 0, made.err
    path = Path(made.json["path"])
    assert path.name == "silk-int8"
    manifest = json.loads((path / "tissu.json").read_text())
    assert list(manifest["lineage"][0]["sha256"]) == ["silk.gguf"]
    ends = json.loads((path / "generation_config.json").read_text())["eos_token_id"]
    assert ends == [0, 3]
    assert tissu("generate", path, *GENERATE).code == 0


def test_an_npz_is_used_like_its_directory(stored: Trained, tmp_path: Path) -> None:
    tissu, path = stored.tissu, as_npz(stored, tmp_path / "arrays")
    ours, theirs = tissu("generate", path, *GENERATE), tissu("generate", "cloth", *GENERATE)
    assert ours.json["text"] == theirs.json["text"]
    ours, theirs = (
        tissu("inspect", "weights", "layers.0", model, "--json").json["tensors"]
        for model in (path, "cloth")
    )
    assert ours == theirs
    encoded = [tissu("tokenize", "encode", "-t", m, stdin="The sail").out for m in (path, "cloth")]
    assert encoded[0] == encoded[1]


TENSORS = [tensor(b"token_embd.weight", [4, 4]), tensor(b"blk.0.ffn_up.weight", [4], offset=64)]
GPT2 = [number(b"gpt2." + name, 7) for name in (b"embedding_length", b"block_count")]
GPT2 += [number(b"gpt2.feed_forward_length", 4)]


def named(architecture: bytes, *keys: bytes) -> list[bytes]:
    name = struct.pack("<Q", len(architecture)) + architecture
    return [key(b"general.architecture", 8, name), *keys]


BAD: dict[str, tuple[bytes, str]] = {
    "magic": (file(magic=b"GGUX"), "magic is b'GGUX' at byte 0"),
    "version": (file(version=struct.pack("<I", 1)), "version is 1 at byte 4; allowed: 2 or 3"),
    "n_tensors": (file(counts=(1 << 60, 0)), "n_tensors is 1,152,921,504,606,846,976 at byte 8"),
    "zero": (file(tensors=[tensor(b"t", [0])]), "dimension 0 of t is 0 at byte 37"),
    "overflow": (file(tensors=[tensor(b"t", [1 << 40] * 4)]), "the size of t"),
    "offset": (file(tensors=[tensor(b"t", [4], offset=96)]), "at byte 64"),
    "no architecture": (file(), "is of the architecture 'None'"),
    "architecture": (file(named(b"abacus")), "'abacus'; this version reads: llama, qwen2"),
    "blocks": (
        file(named(b"gpt2", *GPT2), TENSORS, bytes(128)),
        "gpt2.block_count is 7; allowed: 1, for so many have tensors",
    ),
    "many blocks": (
        file(
            named(b"gpt2", *GPT2[:1], number(b"gpt2.block_count", 1 << 31), GPT2[2]),
            TENSORS,
            bytes(128),
        ),
        "gpt2.block_count is 2147483648; allowed: 1..1,024",
    ),
    "part": (file(named(b"llama", number(b"split.count", 3))), "in several files"),
    "width": (
        file(named(b"llama", number(b"llama.attention.head_count", 0)), TENSORS, bytes(128)),
        "llama.attention.head_count is 0; allowed: 1..1,048,576",
    ),
    "no embedding": (
        file(named(b"gpt2", number(b"gpt2.block_count", 1))),
        "lacks the tensor token_embd.weight",
    ),
    "tensor": (
        file(named(b"llama"), [tensor(b"blk.0.evil.weight", [4])], bytes(16)),
        "has a tensor too many: blk.0.evil.weight",
    ),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", [["generate", "-p", "x"], ["inspect", "weights", "**"]])
def test_a_bad_file_is_refused(tissu: Tissu, tmp_path: Path, name: str, command: list[str]) -> None:
    content, words = BAD[name]
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    arguments: list[Any] = (
        [*command, path] if command[0] == "inspect" else [command[0], path, *command[1:]]
    )
    result = tissu(*arguments)
    assert result.code == 3
    result.error  # noqa: B018
    assert words in " ".join(result.err.split())
    assert path.read_bytes() == content


def test_a_file_cut_short_is_refused(stored: Trained, tmp_path: Path) -> None:
    content = (stored.tissu.home / "models/silk.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(content[: len(content) // 2])
    result = stored.tissu("chat", path, "-p", "x")
    assert result.code == 3
    assert "allowed: multiples of 32 in 0.." in result.error[0]


def test_what_a_file_is_stands_in_its_header(stored: Trained) -> None:
    shown = {
        name: stored.tissu("models", "show", name, "--json").json
        for name in ("cloth", "silk", "packed")
    }
    whole, packed = shown["cloth"], shown["packed"]
    for found in shown.values():
        assert found["problem"] == "" and found["has_template"] is False
        for fact in ("architecture", "num_parameters", "context_tokens"):
            assert found[fact] == whole[fact]
    assert whole["bytes_by_dtype"] == {"F32": 4 * whole["num_parameters"]}
    assert packed["bytes_by_dtype"].keys() == {"Q8_0", "F32"}
    assert sum(packed["bytes_by_dtype"].values()) < sum(whole["bytes_by_dtype"].values()) / 2
    assert "kB Q8_0, " in stored.tissu("models", "show", "packed").out


def test_what_cannot_be_used_is_shown_with_the_reason(tissu: Tissu, tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"GGUF" * 9)
    shown = tissu("models", "show", file)
    assert shown.code == 0 and "version" in shown.out and "36B" in shown.out


def test_a_text_that_is_cut_in_an_unknown_way_is_said_by_every_verb(
    stored: Trained, tmp_path: Path
) -> None:
    tissu, told = stored.tissu, "('qwen9') is not known here"
    content = (tissu.home / "models" / "silk.gguf").read_bytes()
    name = b"tokenizer.ggml.pre\x08\0\0\0\x05" + bytes(7)
    assert content.count(name + b"qwen2") == 1
    file, prompts = tmp_path / "odd.gguf", tmp_path / "prompts.txt"
    file.write_bytes(content.replace(name + b"qwen2", name + b"qwen9"))
    prompts.write_text("The\n")
    for command in (
        ["chat", file, "-p", "The", "--max-tokens", "2"],
        ["generate", file, "-p", "The", "--max-tokens", "2"],
        ["generate", file, "--prompts-file", prompts, "--max-tokens", "2"],
        ["eval", "ppl", prompts, "-m", file],
        ["inspect", "model", file],
    ):
        result = tissu(*command)
        assert result.code == 0 and result.err.count(told) == 1, result.err
        assert told not in result.out


def test_what_the_makers_recommend_holds_unless_somebody_says_otherwise(
    trained_once: Trained, tmp_path: Path
) -> None:
    folder = tmp_path / "cloth"
    shutil.copytree(trained_once.run / "model", folder)
    (folder / "tissu.json").unlink()
    ask = ("generate", folder, "-p", "The", "--max-tokens", "9", "--seed", "1", "--json")
    texts = {}
    for name, recommended in {
        "none": {},
        "one": {"top_k": 1, "do_sample": True},
        "odd": {"temperature": -3, "top_k": "x", "top_p": None, "min_p": True},
    }.items():
        (folder / "generation_config.json").write_text(json.dumps(recommended))
        texts[name] = trained_once.tissu(*ask).json["text"]
    assert texts["odd"] == texts["none"]
    assert texts["one"] == trained_once.tissu(*ask, "--greedy").json["text"] != texts["none"]
    (folder / "generation_config.json").write_text('{"top_k": 1}')
    assert trained_once.tissu(*ask, "--top-k", "50").json["text"] == texts["none"]
