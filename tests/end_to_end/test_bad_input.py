"""What goes wrong, through the real command: exit code, three lines, nothing lost."""

import os
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Copy, Tissu, Trained, snapshot


def test_no_corpus(tissu: Tissu) -> None:
    result = tissu("train", "--steps", "1")
    assert result.code == 2
    assert "tissu train" in result.error[2]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (["--heads", "3", "--width", "32"], "--heads"),
        (["--heads", "4", "--kv-heads", "3", "--width", "32"], "--kv-heads"),
        (["--steps", "0"], "--steps"),
        (["--steps", "5", "--epochs", "1"], "--epochs"),
        (["--lr", "fast"], "--lr"),
        (["--optimizer", "sgdd"], "--optimizer"),
        (["--warmup", "many"], "--warmup"),
        (["--gpus", "2", "--device", "cpu"], "--gpus"),
        (["--procs", "2"], "--device cpu"),
        (["--gpus", "2", "--procs", "2"], "--procs"),
        (["--keep", "1"], "--keep"),
        (["--set", "training.stpes=5"], "training.steps"),
        (["--set", "trainning.steps=5"], "training"),
        (["--set", "nonsense"], "--set"),
        (["--view", "hologram"], "--view"),
        (["--name", "../escape"], "--name"),
        (["--stpes", "5"], "--steps"),
    ],
)
def test_settings_that_cannot_be(
    tissu: Tissu, corpus: Path, options: list[str], field: str
) -> None:
    result = tissu("train", corpus, *options)
    assert result.code == 2, result.err
    assert field in " ".join(result.error)
    assert not (tissu.home / "runs").exists()


def test_unknown_toml_key_names_the_nearest(tissu: Tissu, corpus: Path, tmp_path: Path) -> None:
    settings = tmp_path / "s.toml"
    settings.write_text("[optimizer]\nlerning_rate = 0.1\n", "utf-8")
    result = tissu("train", corpus, "--config", settings)
    assert result.code == 2
    assert "optimizer.lerning_rate" in result.error[0]
    assert "optimizer.learning_rate" in result.error[2]


def test_broken_and_missing_toml(tissu: Tissu, corpus: Path, tmp_path: Path) -> None:
    settings = tmp_path / "s.toml"
    settings.write_text("[optimizer\n", "utf-8")
    assert tissu("train", corpus, "--config", settings).code == 2
    assert tissu("train", corpus, "--config", tmp_path / "none.toml").code == 3


def test_a_name_or_directory_in_use_is_not_touched(trained_copy: Copy) -> None:
    trained = trained_copy()
    before = snapshot(trained.run)
    result = trained.tissu("train", trained.corpus, "--name", "cloth", *FAST)
    assert result.code == 2
    assert "--resume cloth" in result.error[2]
    result = trained.tissu("train", trained.corpus, "--out", trained.run, *FAST)
    assert result.code == 2
    assert snapshot(trained.run) == before


def test_unknown_run_and_model_name_the_nearest(trained_once: Trained) -> None:
    result = trained_once.tissu("train", "--resume", "clth")
    assert result.code == 3
    assert "cloth" in result.error[2]
    result = trained_once.tissu("chat", "clth", "-p", "x")
    assert result.code == 3
    assert "cloth" in result.error[2]


def test_no_model_yet(tissu: Tissu) -> None:
    result = tissu("chat", "-p", "x")
    assert result.code == 3
    assert "tissu train --demo" in result.error[2]


def test_prompt_longer_than_the_context(trained_once: Trained) -> None:
    result = trained_once.tissu("generate", "-p", "weaver " * 200)
    assert result.code == 3
    assert "context is 32" in result.error[0]
    assert result.out == ""


@pytest.mark.parametrize("name", ["model.pt", "weights.bin", "run.ckpt"])
def test_a_pickle_is_never_read(tissu: Tissu, tmp_path: Path, name: str) -> None:
    fired = tmp_path / "fired"
    pickle = b"cos\nsystem\n(S'touch " + os.fsencode(fired) + b"'\ntR."
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / name).write_bytes(pickle)
    for target in (folder / name, folder):
        for command in (["generate", target, "-p", "x"], ["inspect", "weights", "embed", target]):
            result = tissu(*command)
            assert result.code == 3, result.err
            assert "pickle" in result.error[0]
    assert not fired.exists()


def test_foreign_architecture_is_refused_by_name(tissu: Tissu, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}', "utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"")
    result = tissu("generate", tmp_path, "-p", "x")
    assert result.code == 3
    assert "mamba" in result.error[0]
    assert "qwen3" in result.error[0]


def test_a_tensor_name_nobody_has_is_answered_with_the_nearest(trained_once: Trained) -> None:
    result = trained_once.tissu("inspect", "weights", "layer.0.atn")
    assert result.code == 2
    assert "layers.0.self_attn" in result.error[2]


def test_errors_are_objects_with_json(tissu: Tissu) -> None:
    import json

    result = tissu("generate", "--json", "-p", "x")
    record = json.loads(result.err)
    assert record["code"] == result.code == 3
    assert set(record) == {"code", "error", "safe", "try"}


def test_prompt_that_is_no_text(trained_once: Trained) -> None:
    result = trained_once.tissu("generate", stdin=b"\xff\xfe\x00")
    assert result.code == 3
    assert "byte 0" in result.error[0]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_home_that_cannot_be_written(tissu: Tissu, corpus: Path) -> None:
    assert tissu("train", corpus, "--dry-run", *FAST).code == 0
    (tissu.home / "runs").mkdir()
    (tissu.home / "runs").chmod(0o500)
    assert tissu("train", corpus, "--steps", "1", *FAST).code == 4
