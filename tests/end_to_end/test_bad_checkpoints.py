"""Checkpoints and runs whose files are not what they were: an answer, and nothing lost."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import (
    FAST,
    Copy,
    Tissu,
    Trained,
    important,
    snapshot,
    train_briefly,
)
from tissu_core.checkpoint import store as store_module
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.evals import validation
from tissu_core.runs.train import assembly
from tissu_core.storage import sha256_file

NEWEST = "checkpoints/step-000040"


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 0x10
        path.write_bytes(content)


def edit_config(run: Path, before: str, after: str) -> None:
    text = (run / "config.toml").read_text("utf-8")
    assert before in text
    (run / "config.toml").write_text(text.replace(before, after), "utf-8")


def newer_format(run: Path) -> None:
    path = run / NEWEST / "tissu.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 9}))


@pytest.mark.parametrize(
    ("harm", "options", "code", "words"),
    [
        (newer_format, [], 3, ["version 9", "up to 2", "upgrade"]),
        (newer_format, ["--fallback"], 3, ["version 9"]),
        (
            lambda run: edit_config(run, "hidden_size = 32", "hidden_size = 48"),
            [],
            2,
            ["hidden_size 48 / 32", "config.toml"],
        ),
        (
            lambda run: edit_config(run, "context_tokens = 32", "context_tokens = 64"),
            ["--override"],
            2,
            ["context_tokens 64 / 32"],
        ),
        (
            lambda run: edit_config(run, "vocab_size = 320", "vocab_size = 300"),
            ["--accept-data-change"],
            2,
            ["vocab_size = 320"],
        ),
        (
            lambda run: edit_config(run, 'name = "muon"', 'name = "adamw"'),
            [],
            2,
            ["step-000040", "adamw"],
        ),
        (lambda run: None, ["--lr", "0.1"], 2, ["learning_rate", "-> 0.1", "--override"]),
        (lambda run: None, ["--batch-tokens", "512"], 2, ["batch_tokens 256 -> 512"]),
        (lambda run: None, ["--set", "optimizer.warmup='5'"], 2, ["warmup", "--override"]),
        (lambda run: None, ["--override", "--width", "64"], 2, ["hidden_size", "new run"]),
        (lambda run: None, ["--override", "--seed", "1"], 2, ["training.seed", "new run"]),
        (lambda run: None, ["--override", "--optimizer", "adamw"], 2, ["optimizer.name"]),
        (lambda run: None, ["--override", "--set", "data.exclude='x'"], 2, ["data.exclude"]),
        (lambda run: None, ["--demo"], 2, ["--resume"]),
    ],
    ids=[
        "newer format",
        "newer format, fallback",
        "other width",
        "other context",
        "other vocabulary",
        "other optimizer",
        "rate",
        "batch",
        "set",
        "override width",
        "override seed",
        "override optimizer",
        "override data",
        "demo",
    ],
)
def test_a_resume_that_cannot_be_touches_nothing(
    trained_copy: Copy,
    harm: Callable[[Path], None],
    options: list[str],
    code: int,
    words: list[str],
) -> None:
    trained = trained_copy()
    harm(trained.run)
    before = important(trained.run)
    result = trained.tissu("train", "--resume", "cloth", *options)
    assert result.code == code, result.err
    for word in words:
        assert word in " ".join(result.error)
    assert important(trained.run) == before


@pytest.mark.parametrize("option", ["--fallback", "--override", "--accept-data-change"])
def test_what_goes_with_resume_says_so(tissu: Tissu, corpus: Path, option: str) -> None:
    result = tissu("train", corpus, option, *FAST)
    assert result.code == 2
    assert f"{option} goes with --resume" in result.error[0]


@pytest.mark.parametrize("how", ["truncated", "flipped"])
@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "tissu.json"])
def test_damaged_checkpoint_offers_the_next_good_one(
    trained_copy: Copy, how: str, file: str
) -> None:
    trained = trained_copy()
    damaged = trained.run / NEWEST / file
    written = sha256_file(damaged)
    damage(damaged, how)
    before = snapshot(trained.run / "checkpoints")
    result = trained.tissu("train", "--resume", "cloth")
    assert result.code == 6
    assert "step 40 is damaged, step 30 is good" in result.error[0]
    if file != "tissu.json":
        assert written[:12] in result.error[0] and sha256_file(damaged)[:12] in result.error[0]
    assert "step-000030" in result.error[1]
    assert "--fallback" in result.error[2]
    assert snapshot(trained.run / "checkpoints") == before
    went_on = trained.tissu("train", "--resume", "cloth", "--fallback")
    assert went_on.code == 0, went_on.err
    assert "goes on after step 30" in went_on.err
    aside = snapshot(trained.run / "checkpoints" / "damaged-step-000040")
    assert aside == {
        path.removeprefix("step-000040/"): sha
        for path, sha in before.items()
        if path.startswith("step-000040/")
    }


def test_all_checkpoints_damaged_renames_none(trained_copy: Copy) -> None:
    trained = trained_copy()
    for path in (trained.run / "checkpoints").glob("step-*/model.safetensors"):
        damage(path, "flipped")
    before = snapshot(trained.run / "checkpoints")
    result = trained.tissu("train", "--resume", "cloth", "--fallback")
    assert result.code == 6
    assert "no older checkpoint is good" in result.error[0]
    assert snapshot(trained.run / "checkpoints") == before


def test_checkpoint_without_manifest_counts_as_never_saved(trained_copy: Copy) -> None:
    trained = trained_copy()
    (trained.run / NEWEST / "tissu.json").unlink()
    result = trained.tissu("train", "--resume", "cloth")
    assert result.code == 0, result.err
    assert result.err.count("step 40 was never saved to its end") == 1
    assert "goes on after step 30" in result.err


def test_a_kill_between_two_renames_costs_nothing(trained_copy: Copy) -> None:
    trained = trained_copy()
    newest = trained.run / NEWEST
    newest.rename(newest.with_name(".tmp-99999999-old-step-000040"))
    result = trained.tissu("train", "--resume", "cloth")
    assert result.code == 0, result.err
    assert "goes on after step 40" in result.err


def test_damaged_model_is_refused_and_a_good_checkpoint_named(trained_copy: Copy) -> None:
    trained = trained_copy()
    damage(trained.run / "model" / "model.safetensors", "flipped")
    result = trained.tissu("generate", "cloth", "-p", "x")
    assert result.code == 6
    good = trained.run / NEWEST
    assert str(good) in result.error[2]
    assert trained.tissu("generate", good, "-p", "x", "--max-tokens", "2").code == 0


def test_a_checkpoint_pruned_while_it_is_read_is_not_damaged(
    trained_copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tissu_core.checkpoint import model_directory

    trained = trained_copy()
    shutil.rmtree(trained.run / "model")
    store = CheckpointStore(trained.run / "checkpoints")
    best = store.pointed("best")
    assert best is not None
    other = next(step for step in store.steps() if step != best)
    iter_verify = model_directory.iter_verify

    def verify_while_training_goes_on(path: Path, *facts: Any) -> Any:
        if path == store.path_of(best):
            store.point("best", other, 1.0)
            shutil.rmtree(path)
        return iter_verify(path, *facts)

    monkeypatch.setattr(model_directory, "iter_verify", verify_while_training_goes_on)
    result = trained.tissu("generate", "cloth", "-p", "The ", "--max-tokens", "4")
    assert result.code == 0, result.err
    assert result.out


def during(
    patch: pytest.MonkeyPatch, module: Any, name: str, number: signal.Signals
) -> Callable[..., Any]:
    """Let the first call of a function be met by a signal."""
    call, is_sent = getattr(module, name), []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if not is_sent:
            is_sent.append(True)
            os.kill(os.getpid(), number)
        return call(*arguments, **options)

    patch.setattr(module, name, interrupted)
    return interrupted


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize(
    ("module", "function"),
    [
        (assembly, "write_training_state"),
        (store_module, "read_manifest"),
        (validation, "score_windows"),
    ],
    ids=["saving", "moving the pointer", "evaluating"],
)
def test_a_stop_signal_lets_a_save_and_an_evaluation_end(
    tissu: Tissu,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    function: str,
    number: signal.Signals,
    code: int,
) -> None:
    with monkeypatch.context() as patch:
        during(patch, module, function, number)
        result = train_briefly(tissu, corpus, "--eval-every", "4")
    assert result.code == code, result.err
    assert "tissu train --resume r" in result.err
    store = CheckpointStore(tissu.home / "runs/r/checkpoints")
    assert store.steps()[-1] == 4
    assert store.newest_verified(is_fallback_allowed=False) == store.path_of(4)
    assert tissu("train", "--resume", "r").code == 0


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("answer", "code"), [("n", 6), ("y", 0)])
def test_on_a_terminal_somebody_is_asked(trained_copy: Copy, answer: str, code: int) -> None:
    import pexpect

    from tests.end_to_end.conftest import COMMAND, environment

    trained: Trained = trained_copy()
    damage(trained.run / NEWEST / "model.safetensors", "flipped")
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], "train", "--resume", "cloth"],
        env=environment(trained.tissu.home, TERM="xterm-256color"),  # type: ignore[arg-type]
        timeout=60,
        dimensions=(30, 200),
    )
    child.expect("step 40 is damaged, step 30 is good")
    child.expect(r"\[y/N\]")
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code
    aside = trained.run / "checkpoints" / "damaged-step-000040"
    assert aside.is_dir() == (answer == "y")
