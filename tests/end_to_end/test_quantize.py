"""``tissu quantize`` through the real command, and its result in every other one."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.end_to_end.conftest import Trained

Copy = Callable[[], Trained]


@pytest.fixture
def trained(trained_copy: Copy) -> Trained:
    return trained_copy()


@pytest.fixture
def quantized(trained_copy: Copy) -> Trained:
    trained = trained_copy()
    trained.tissu.result = trained.tissu("quantize", "cloth", "--json")  # type: ignore[attr-defined]
    return trained


def test_the_report_is_what_the_files_say(quantized: Trained) -> None:
    result = quantized.tissu.result  # type: ignore[attr-defined]
    assert result.code == 0, result.err
    report = result.json
    target = quantized.tissu.home / "models" / "cloth-int8"
    weights = load_file(target / "model.safetensors")
    assert weights["model.layers.0.mlp.up_proj.weight"].dtype == torch.int8
    assert weights["model.embed_tokens.weight"].dtype == torch.int8
    assert report["num_bytes"] == (target / "model.safetensors").stat().st_size
    assert report["bf16_bytes"] == 2 * report["num_parameters"]
    assert report["tokens_per_second_before"] > 0 and report["tokens_per_second_after"] > 0
    assert report["num_bytes"] < 0.85 * report["bf16_bytes"]
    before, after = report["bits_per_byte_before"], report["bits_per_byte_after"]
    assert before == pytest.approx(after, rel=0.02)
    assert before != after
    manifest = json.loads((quantized.run / "model" / "tissu.json").read_text())
    assert before == pytest.approx(manifest["bits_per_byte"], rel=0.05)


def test_an_int8_model_works_in_every_command(quantized: Trained) -> None:
    tissu, corpus = quantized.tissu, quantized.corpus
    generated = tissu("generate", "cloth-int8", "-p", "The weaver", "--greedy")
    assert generated.code == 0, generated.err
    assert generated.out.strip()
    assert tissu("chat", "cloth-int8", "-p", "The").code == 0
    plain = tissu("eval", "ppl", corpus, "-m", "cloth", "--json").json["bits_per_byte"]
    packed = tissu("eval", "ppl", corpus, "-m", "cloth-int8", "--json").json["bits_per_byte"]
    assert packed == pytest.approx(plain, rel=0.02)
    assert "cloth-int8" in tissu("models", "list").out
    assert "int8" in tissu("inspect", "weights", "layer.0.mlp", "cloth-int8").out


def test_text_of_ones_own_measures_a_model_without_a_run(
    quantized: Trained, tmp_path: Path
) -> None:
    tissu = quantized.tissu
    lone = tmp_path / "lone"
    (quantized.run / "model").rename(lone)
    unmeasured = tissu("quantize", lone, "-o", tmp_path / "a")
    assert unmeasured.code == 0, unmeasured.err
    assert "--text" in unmeasured.err
    assert "bits per byte" not in unmeasured.out
    measured = tissu("quantize", lone, "-o", tmp_path / "b", "--text", quantized.corpus)
    assert measured.code == 0, measured.err
    assert "bits per byte" in measured.out


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["cloth"], 2, "cloth-int8"),
        (["cloth-int8", "-o", "again"], 3, "int8 already"),
        (["cloth", "--bits", "3", "-o", "three"], 2, "--bits"),
        (["clohtt", "-o", "none"], 3, "cloth"),
    ],
)
def test_what_cannot_be_quantized(
    quantized: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    word: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = quantized.tissu("quantize", *arguments)
    assert result.code == code
    assert word in " ".join(result.error)
    assert not any(tmp_path.glob("again")) and not any(tmp_path.glob("three"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--bits", "4", "--group", "48"], 2, "32, 64, 128"),
        (["--bits", "4", "--group", "128"], 2, "does not divide"),
        (["--group", "32"], 2, "--bits 4 --group 32"),
        (["--method", "gptq"], 2, "--bits 4 --method gptq"),
        (["--bits", "4", "--method", "gptq"], 2, "--calib"),
        (["--bits", "4", "--method", "awq", "--calib", "short.txt"], 3, "windows"),
    ],
)
def test_how_a_model_cannot_be_packed(
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short.txt").write_text("Too short to learn from.\n")
    result = trained.tissu("quantize", "cloth", *arguments, "-o", "out")
    assert result.code == code, result.err
    assert words in " ".join(result.error)
    assert not Path("out").exists()


@pytest.mark.parametrize("method", ["rtn", "gptq", "awq"])
def test_a_model_of_four_bits_works_in_every_command(
    trained: Trained, tmp_path: Path, method: str
) -> None:
    tissu, out = trained.tissu, tmp_path / "small"
    calib = [] if method == "rtn" else ["--calib", trained.corpus]
    how = ["--bits", "4", "--method", method, *calib, "-o", out]
    report = tissu("quantize", "cloth", *how, "--json").json
    assert (report["bits"], report["method"]) == (4, method)
    assert report["num_bytes"] < 0.6 * report["bf16_bytes"]
    assert report["bits_per_byte_after"] == pytest.approx(report["bits_per_byte_before"], rel=0.1)
    nearest = report["bits_per_byte_nearest"]
    assert (nearest is None) == (method == "rtn")
    if nearest is not None:  # whether it helped is said, and by the figures of --method rtn
        alone = tissu("quantize", "cloth", "--bits", "4", "-o", tmp_path / "rtn", "--json").json
        assert nearest == pytest.approx(alone["bits_per_byte_after"], abs=1e-9)
    first = tissu("generate", out, "-p", "The weaver", "--greedy")
    assert first.code == 0, first.err
    assert tissu("chat", out, "-p", "The").code == 0
    measured = tissu("eval", "ppl", trained.corpus, "-m", out, "--json").json["bits_per_byte"]
    assert measured > 0
    assert "rounding   int4" in tissu("inspect", "weights", "layer.0.mlp", out).out
    assert "int4 already" in tissu("quantize", out, "-o", tmp_path / "again").err
    assert "int4 already" in tissu("export", "gguf", out, "-o", tmp_path / "x.gguf").err
    assert tissu("models", "verify", out).code == 0


def test_what_fewer_bits_would_cost_is_told_before(trained: Trained) -> None:
    asked = ["inspect", "quantization", "cloth", "--bits", "8", "--bits", "3"]
    shown = trained.tissu(*asked, "--text", trained.corpus)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("layers.", "all"))][-1] == "all"
    read = trained.tissu(*asked, "--text", trained.corpus, "--json")
    whole = {row["bits"]: row for row in read.json["layers"] if row["layer"] == "all"}
    assert whole[8]["sqnr_db"] > whole[3]["sqnr_db"] + 20
    plain = trained.tissu("eval", "ppl", trained.corpus, "-m", "cloth", "--json").json
    assert whole[8]["bits_per_byte"] < whole[3]["bits_per_byte"]
    assert whole[8]["bits_per_byte"] == pytest.approx(plain["bits_per_byte"], rel=0.2)
    unread = trained.tissu(*asked)
    assert unread.code == 0 and "--text" in unread.err and "bits/byte" not in unread.out


@pytest.mark.parametrize(("value", "word"), [(float("nan"), "NaN"), (float("inf"), "infinity")])
def test_weights_that_are_no_numbers_are_named(
    trained: Trained, tmp_path: Path, value: float, word: str
) -> None:
    foreign = tmp_path / "foreign"  # without a manifest that tells of changed bytes
    assert trained.tissu("export", "hf", "cloth", "-o", foreign).code == 0
    (foreign / "tissu.json").unlink()
    path = foreign / "model.safetensors"
    weights = load_file(path)
    name = "model.layers.0.mlp.up_proj.weight"
    weights[name][0, 0] = value
    save_file(weights, path)
    result = trained.tissu("quantize", foreign, "-o", tmp_path / "out")
    assert result.code == 3, result.err
    said = " ".join(result.error)
    assert word in said and name in said
    assert not (tmp_path / "out").exists()


def test_too_little_room_is_told_before_anything_is_written(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 40, 0, 1_000))
    result = trained.tissu("quantize", "cloth", "-o", tmp_path / "out")
    assert result.code == 4
    said = " ".join(result.error)
    assert "free" in said and "fewer --bits" in said
    assert not (tmp_path / "out").exists()


def test_a_calibration_text_of_another_kind_is_told(trained: Trained, tmp_path: Path) -> None:
    strange = tmp_path / "strange.txt"
    strange.write_text("Ħej, ġurnata sabiħa żgħira. " * 400, "utf-8")
    how = ["--bits", "4", "--method", "awq", "--calib", strange, "--text", trained.corpus]
    result = trained.tissu("quantize", "cloth", *how, "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert "another" in result.err


def test_a_settings_file_beside_the_store_is_no_run(quantized: Trained) -> None:
    home = quantized.tissu.home
    (home / "config.toml").write_text("[training]\nsteps = 5\n", "utf-8")
    (quantized.run / "model").rename(home / "models" / "soup")
    result = quantized.tissu("quantize", "soup", "--json")
    assert result.code == 0, result.err
    assert result.json["path"] == str(home / "models" / "soup-int8")


def test_what_a_killed_command_left_is_no_model(quantized: Trained) -> None:
    store = quantized.tissu.home / "models"
    (store / "cloth-int8").rename(store / ".tmp-1-cloth-int8")
    assert ".tmp" not in quantized.tissu("models", "list").out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["inspect", "model", "cloth-int8"], 0),
        (["tokenize", "encode", "The weaver", "-t", "cloth-int8"], 0),
        (["models", "average", "cloth-int8", "cloth", "-o", "mixed"], 2),
    ],
)
def test_other_commands_know_int8(quantized: Trained, arguments: list[str], code: int) -> None:
    result = quantized.tissu(*arguments)
    assert result.code == code, result.err


def test_a_damaged_int8_model_is_noticed(quantized: Trained) -> None:
    path = quantized.tissu.home / "models" / "cloth-int8" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert quantized.tissu("generate", "cloth-int8", "-p", "x").code == 6


def test_figures_of_an_int8_matrix_are_those_of_its_values(quantized: Trained) -> None:
    def figures(model: str) -> dict[str, float]:
        shown = quantized.tissu("inspect", "weights", "layer.0.mlp.up", model, "--json")
        return next(t for t in shown.json["tensors"] if t["name"].endswith("up_proj.weight"))

    packed, plain = figures("cloth-int8"), figures("cloth")
    assert packed["dtype"] == "int8"
    for name in ("std", "min", "max", "norm"):
        assert packed[name] == pytest.approx(plain[name], rel=0.02)
