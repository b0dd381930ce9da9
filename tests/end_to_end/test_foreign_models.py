"""Models that other programs wrote, whole or damaged, through the real command."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from tests.end_to_end.conftest import Tissu
from tissu_core.text.tokenizer import Tokenizer

INDEX = "model.safetensors.index.json"
SHAPE = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "use_sliding_window": True,
    "sliding_window": 9,
    "max_window_layers": 1,
}


def write_model(folder: Path, tokenizer: Tokenizer, shard_size: str, seed: int = 0) -> Path:
    """What transformers saves of a Qwen2 whose second layer has a window."""
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM(Qwen2Config(**SHAPE, initializer_range=0.2))
    model.save_pretrained(folder, max_shard_size=shard_size)
    tokenizer.save(folder, 64)
    return folder


@pytest.fixture
def sharded(tmp_path: Path, tiny_tokenizer: Tokenizer) -> Path:
    folder = write_model(tmp_path / "sharded", tiny_tokenizer, "40KB")
    assert len(shards(folder)) > 2
    return folder


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("model-*.safetensors"))


def say(tissu: Tissu, folder: Path) -> str:
    words = ("-p", "The weaver", "--max-tokens", "30", "--greedy", "--json")
    result = tissu("generate", folder, *words)
    assert result.code == 0, result.err
    return str(result.json["text"])


def test_shards_are_read_as_one_model(
    tissu: Tissu, sharded: Path, tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    whole = write_model(tmp_path / "whole", tiny_tokenizer, "1GB")
    assert say(tissu, sharded) == say(tissu, whole)
    reports = [tissu("inspect", "model", folder, "--json").json for folder in (sharded, whole)]
    for report in reports:
        del report["path"]
    assert reports[0] == reports[1]
    assert reports[0]["bytes_by_dtype"] == {"F32": 4 * reports[0]["num_parameters"]}
    listed = [tissu("inspect", "weights", "*", folder, "--json").out for folder in (sharded, whole)]
    assert listed[0] == listed[1] and "q_proj.bias" in listed[0]


def test_shards_are_averaged_and_quantized(
    tissu: Tissu, sharded: Path, tmp_path: Path, tiny_tokenizer: Tokenizer
) -> None:
    other = write_model(tmp_path / "other", tiny_tokenizer, "60KB", seed=1)
    for command in (
        ["models", "average", sharded, other, "-o", "made"],
        ["quantize", sharded, "-o", "packed"],
    ):
        result = tissu(*command)
        assert result.code == 0, result.err
        made = tissu.home / "models" / str(command[-1])
        assert say(tissu, made)
        lineage = json.loads((made / "tissu.json").read_text())["lineage"]
        assert set(lineage[0]["sha256"]) == {path.name for path in shards(sharded)}


def rewrite_index(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    index = json.loads((folder / INDEX).read_text())
    change(index["weight_map"])
    (folder / INDEX).write_text(json.dumps(index))


def write_header(path: Path, header: dict[str, object] | bytes, size: int) -> None:
    """A safetensors file of ``size`` bytes of numbers, which take no room on the disk."""
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(told)) + told)
        file.truncate(8 + len(told) + size)


def tensor(begin: int, end: int, *shape: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 9876543210\n" % (
    b"4" * 64
)
NAME = "model.norm.weight"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a shard is gone": (lambda d: shards(d)[1].unlink(), "lacks model-00002-of-"),
    "above the directory": (
        lambda d: rewrite_index(d, lambda m: m.update({NAME: "../x.safetensors"})),
        "'../x.safetensors', which is not a file",
    ),
    "elsewhere": (
        lambda d: rewrite_index(d, lambda m: m.update({NAME: "/etc/passwd"})),
        "'/etc/passwd', which is not a file",
    ),
    "no file name": (lambda d: rewrite_index(d, lambda m: m.update({NAME: ".."})), "lacks ..,"),
    "of no tensors": (lambda d: rewrite_index(d, lambda m: m.clear()), "weight_map"),
    "no name at all": (lambda d: rewrite_index(d, lambda m: m.update({NAME: 7})), "weight_map"),
    "not in its shard": (
        lambda d: rewrite_index(d, lambda m: m.update({NAME: shards(d)[0].name})),
        f"has {NAME} in model-00001-of-",
    ),
    "in no shard": (
        lambda d: rewrite_index(d, lambda m: m.update({"model.x": shards(d)[0].name})),
        "has model.x in model-00001-of-",
    ),
    "not in the index": (
        lambda d: rewrite_index(d, lambda m: m.pop(NAME)),
        f"has {NAME} in no file",
    ),
    "twice": (
        lambda d: shards(d)[1].write_bytes(shards(d)[0].read_bytes()),
        "and so does model-00001-of-",
    ),
    "a pointer": (
        lambda d: shards(d)[0].write_bytes(POINTER),
        f"is a Git LFS pointer of {len(POINTER)} bytes, not the file itself",
    ),
    "an index that is a pointer": (
        lambda d: (d / INDEX).write_bytes(POINTER),
        f"{INDEX} is a Git LFS pointer of {len(POINTER)} bytes",
    ),
    "empty": (lambda d: shards(d)[0].write_bytes(b""), "no whole safetensors"),
    "without tensors": (lambda d: write_header(shards(d)[0], b"{}", 0), "holds no tensors"),
    "of numbers that are not read": (
        lambda d: write_header(
            shards(d)[0], {"a": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}, 4
        ),
        "holds a as F4; this version reads F64, F32",
    ),
    "a long header": (
        lambda d: write_header(shards(d)[0], b" " * 100_000_001, 0),
        "header too large",
    ),
    "overlapping": (
        lambda d: write_header(shards(d)[0], {"a": tensor(0, 8, 2), "b": tensor(4, 12, 2)}, 12),
        "invalid offset for tensor `b`",
    ),
    "with a hole": (
        lambda d: write_header(shards(d)[0], {"a": tensor(0, 8, 2), "b": tensor(12, 20, 2)}, 20),
        "invalid offset for tensor `b`",
    ),
    "of another size": (
        lambda d: write_header(shards(d)[0], {"a": tensor(0, 8, 3)}, 8),
        "invalid shape",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_refused(tissu: Tissu, sharded: Path, damage: str) -> None:
    change, word = DAMAGES[damage]
    change(sharded)
    for command in (["generate", sharded, "-p", "x"], ["inspect", "weights", "*", sharded]):
        result = tissu(*command)
        assert result.code == 3, result.err
        assert word in result.error[0]


SPECIAL = {"type": "TemplateProcessing", "pair": [], "special_tokens": {}}
SPECIAL |= {"single": [{"SpecialToken": {"id": "<|gone|>", "type_id": 0}}]}


def change_json(path: Path, **facts: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


BESIDE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a tokenizer's pointer": (
        lambda d: (d / "tokenizer.json").write_bytes(POINTER),
        f"tokenizer.json is a Git LFS pointer of {len(POINTER)} bytes",
    ),
    "a configuration's pointer": (
        lambda d: (d / "config.json").write_bytes(POINTER),
        f"config.json is a Git LFS pointer of {len(POINTER)} bytes",
    ),
    "a tokenizer that panics at its first text": (
        lambda d: change_json(d / "tokenizer.json", post_processor=SPECIAL),
        "tokenizer.json is no tokenizer",
    ),
    "a shard is gone": (lambda d: shards(d)[1].unlink(), "lacks model-00002-of-"),
}
MODEL_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("chat", "MODEL", "-p", "x"),
    ("generate", "MODEL", "-p", "x"),
    ("eval", "ppl", "DATA", "-m", "MODEL"),
    ("quantize", "MODEL", "-o", "made"),
    ("train", "DATA", "--from", "MODEL", "--steps", "1", "--name", "made"),
)


@pytest.mark.parametrize("damage", BESIDE)
def test_every_command_refuses_it_and_leaves_nothing(
    tissu: Tissu, sharded: Path, corpus: Path, damage: str
) -> None:
    change, word = BESIDE[damage]
    change(sharded)
    given = {"MODEL": sharded, "DATA": corpus}
    for command in MODEL_COMMANDS:
        result = tissu(*(given.get(part, part) for part in command))
        assert result.code == 3, (command, result.err)
        assert word in result.error[0], command
        assert not (tissu.home / "runs").exists() and not (tissu.home / "models").exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_read_gets_no_name(tissu: Tissu, sharded: Path, damage: str) -> None:
    DAMAGES[damage][0](sharded)
    result = tissu("models", "import", sharded)
    assert result.code == 3, result.err
    assert result.error and not (tissu.home / "models").exists()


def test_a_model_larger_than_memory_is_refused_before_it_is_read(
    tissu: Tissu, sharded: Path
) -> None:
    size = 400_000_000_000
    write_header(sharded / "model.safetensors", {"a": tensor(0, size, 100_000_000_000)}, size)
    result = tissu("generate", sharded, "-p", "x")
    assert result.code == 4, result.err
    assert "needs 400 GB of memory" in result.error[0]


def test_code_that_comes_with_a_model_is_not_run(
    tissu: Tissu, sharded: Path, tmp_path: Path
) -> None:
    before, fired = say(tissu, sharded), tmp_path / "fired"
    (sharded / "modeling_own.py").write_text(f"open({str(fired)!r}, 'w')\nOwn = OwnConfig = None\n")
    path = sharded / "config.json"
    remote = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.Own"}
    changes = {"auto_map": remote, "trust_remote_code": True}
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert say(tissu, sharded) == before
    assert not fired.exists()
