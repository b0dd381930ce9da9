"""What goes wrong, through the real command: exit code, three lines, nothing lost."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Tissu, Trained

Copy = Callable[[], Trained]


def snapshot(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


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
        (["--gpus", "2"], "--gpus"),
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


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 0x10
        path.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "flipped"])
@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors"])
def test_damaged_checkpoint_offers_the_next_good_one(
    trained_copy: Copy, how: str, file: str
) -> None:
    trained = trained_copy()
    newest = trained.run / "checkpoints" / "step-000040"
    damage(newest / file, how)
    before = snapshot(trained.run / "checkpoints")
    result = trained.tissu("train", "--resume", "cloth")
    assert result.code == 6
    assert "step 40 is damaged, step 30 is good" in result.error[0]
    assert "--fallback" in result.error[2]
    assert snapshot(trained.run / "checkpoints") == before
    went_on = trained.tissu("train", "--resume", "cloth", "--fallback")
    assert went_on.code == 0, went_on.err
    assert "goes on after step 30" in went_on.err
    assert (trained.run / "checkpoints" / "damaged-step-000040").is_dir()


def test_checkpoint_without_manifest_counts_as_never_saved(trained_copy: Copy) -> None:
    trained = trained_copy()
    (trained.run / "checkpoints" / "step-000040" / "tissu.json").unlink()
    result = trained.tissu("train", "--resume", "cloth")
    assert result.code == 0, result.err
    assert "goes on after step 30" in result.err


def test_damaged_model_is_refused_and_a_good_checkpoint_named(trained_copy: Copy) -> None:
    trained = trained_copy()
    damage(trained.run / "model" / "model.safetensors", "flipped")
    result = trained.tissu("generate", "cloth", "-p", "x")
    assert result.code == 6
    good = trained.run / "checkpoints" / "step-000040"
    assert str(good) in result.error[2]
    assert trained.tissu("generate", good, "-p", "x", "--max-tokens", "2").code == 0


def test_corpus_gone_goes_on_from_its_tokens_and_without_them_says_so(
    tissu: Tissu, corpus: Path
) -> None:
    assert (
        tissu("train", corpus, "--name", "r", "--steps", "4", "--save-every", "2", *FAST).code == 0
    )
    shutil.rmtree(tissu.home / "runs" / "r" / "checkpoints" / "step-000004")
    shutil.rmtree(corpus)
    went_on = tissu("train", "--resume", "r")
    assert went_on.code == 0, went_on.err
    assert f"{corpus} is gone" in went_on.err
    shutil.rmtree(tissu.home / "cache")
    result = tissu("train", "--resume", "r")
    assert result.code == 6
    assert str(corpus) in result.error[0]
    assert "every checkpoint" in result.error[1]


def test_corpus_changed_since_is_refused(tissu: Tissu, corpus: Path) -> None:
    assert tissu("train", corpus, "--name", "r", "--steps", "2", *FAST).code == 0
    (corpus / "text-00.txt").write_text("Something else.\n", "utf-8")
    result = tissu("train", "--resume", "r")
    assert result.code == 6
    assert "not what this run began with" in result.error[0]


def test_settings_with_resume_are_refused(trained_once: Trained) -> None:
    result = trained_once.tissu("train", "--resume", "cloth", "--lr", "0.1")
    assert result.code == 2
    assert "settings cannot change" in result.error[0]


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
