"""Resumed with another text or other settings: refused, or accepted on request and said."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.end_to_end.conftest import (
    FAST,
    Copy,
    Tissu,
    important,
    log_of,
    write_corpus,
)
from tissu_core.checkpoint.training_state import read_training_state
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.config.load import read_toml
from tissu_core.data.batches import BatchOrder

NEWEST = "checkpoints/step-000040"


def start_and_lose_the_end(tissu: Tissu, corpus: Path) -> Path:
    """A run of 4 steps whose newest checkpoint is of step 2."""
    result = tissu("train", corpus, "--name", "r", "--steps", "4", "--eval-every", "2", *FAST)
    assert result.code == 0, result.err
    run = tissu.home / "runs" / "r"
    shutil.rmtree(run / "checkpoints" / "step-000004")
    return run


def test_corpus_gone_goes_on_from_its_tokens_and_without_them_says_so(
    tissu: Tissu, corpus: Path
) -> None:
    start_and_lose_the_end(tissu, corpus)
    shutil.rmtree(corpus)
    went_on = tissu("train", "--resume", "r")
    assert went_on.code == 0, went_on.err
    assert f"{corpus} is gone" in went_on.err
    shutil.rmtree(tissu.home / "cache")
    result = tissu("train", "--resume", "r")
    assert result.code == 6
    assert str(corpus) in result.error[0]
    assert "every checkpoint" in result.error[1]


def test_a_changed_corpus_is_refused_with_a_list_and_accepted_on_request(
    tissu: Tissu, corpus: Path
) -> None:
    run = start_and_lose_the_end(tissu, corpus)
    (corpus / "text-00.txt").write_text("Something else.\n", "utf-8")
    (corpus / "text-01.txt").unlink()
    shutil.move(corpus / "text-02.txt", corpus / "moved.txt")
    write_corpus(corpus / "more", documents=1, seed=7)
    before = important(run)
    result = tissu("train", "--resume", "r")
    assert result.code == 6
    listed = result.error[0].partition("began with: ")[2].split(", ")
    assert listed == [
        f"changed {corpus / 'text-00.txt'}",
        f"added {corpus / 'more' / 'text-00.txt'}",
        f"removed {corpus / 'text-01.txt'}",
    ]
    assert "--accept-data-change" in result.error[2]
    assert important(run) == before

    tokenizer = (run / "checkpoints/step-000002/tokenizer.json").read_bytes()
    _, moments = read_training_state(run / "checkpoints/step-000002")
    accepted = tissu("train", "--resume", "r", "--accept-data-change", "--override", "--steps", "6")
    assert accepted.code == 0, accepted.err
    assert "the text changed" in accepted.err and "begins anew" in accepted.err
    assert (run / "checkpoints/step-000006/tokenizer.json").read_bytes() == tokenizer
    assert read_toml(run / "config.toml")["data_seam"]["text_from_step"] == 2
    assert set(read_training_state(run / "checkpoints/step-000006")[1]) == set(moments)
    again = tissu("train", "--resume", "r")  # the accepted text is the run's text now
    assert again.code == 0, again.err
    assert "the text changed" not in again.err
    shutil.rmtree(tissu.home / "cache")
    assert tissu("train", "--resume", "r").code == 0


def numbers_of_windows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the windows that training reads from now on, and of a batch read ahead."""
    numbers: list[int] = []
    window = BatchOrder.window

    def noted(order: BatchOrder, number: int) -> Any:
        numbers.append(number)
        return window(order, number)

    monkeypatch.setattr(BatchOrder, "window", noted)
    return numbers


def test_an_accepted_text_is_read_from_its_beginning(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first step trains on the windows that a new run would begin with."""
    run = start_and_lose_the_end(tissu, corpus)
    (corpus / "text-00.txt").write_text("Something else.\n" * 40, "utf-8")
    numbers = numbers_of_windows(monkeypatch)
    assert tissu("train", "--resume", "r", "--accept-data-change").code == 0
    assert numbers == [*range(len(numbers))]
    scores = [e for e in log_of(run) if e["event"] == "EvalFinished"]
    assert scores[-1]["is_best"], "a score on the old text is none on the new one"


def test_a_path_that_is_gone_is_left_out_on_request(tissu: Tissu, corpus: Path) -> None:
    more = corpus.parent / "more"
    write_corpus(more, documents=6, seed=7)
    started = ("--name", "r", "--steps", "4", "--eval-every", "2", *FAST)
    assert tissu("train", corpus, more, *started).code == 0
    run = tissu.home / "runs" / "r"
    shutil.rmtree(run / "checkpoints" / "step-000004")
    shutil.rmtree(more)
    shutil.rmtree(tissu.home / "cache")
    assert tissu("train", "--resume", "r").code == 6
    result = tissu("train", "--resume", "r", "--accept-data-change")
    assert result.code == 0, result.err
    assert read_toml(run / "config.toml")["data"]["corpus"] == [str(corpus)]
    shutil.rmtree(corpus)
    shutil.rmtree(tissu.home / "cache")
    assert tissu("train", "--resume", "r", "--accept-data-change").code == 6


def test_batches_of_another_size_begin_where_the_others_ended(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every window is read once: none twice at the seam, none left out."""
    run = start_and_lose_the_end(tissu, corpus)
    settings = read_toml(run / "config.toml")
    large = settings["training"]["batch_tokens"] // settings["model"]["context_tokens"]
    small = large // 2
    half = str(small * settings["model"]["context_tokens"])
    numbers = numbers_of_windows(monkeypatch)
    words = ("--override", "--batch-tokens", half, "--steps", "6", "--save-every", "3")
    result = tissu("train", "--resume", "r", *words)
    assert result.code == 0, result.err
    read = 4 * small
    assert numbers[:read] == [*range(2 * large, 2 * large + read)]
    shutil.rmtree(run / "checkpoints" / "step-000006")
    numbers.clear()
    assert tissu("train", "--resume", "r").code == 0
    went_on = [e for e in log_of(run) if e["event"] == "RunResumed"][-1]["from_step"]
    assert went_on > 2
    assert numbers[0] == 2 * large + (went_on - 2) * small


def test_overridden_settings_are_used_said_and_stored(trained_copy: Copy) -> None:
    trained = trained_copy()
    finished = load_tensors(trained.run / NEWEST / "model.safetensors")
    words = ("--override", "--steps", "60", "--lr", "0.001", "--batch-tokens", "128")
    result = trained.tissu("train", "--resume", "cloth", *words)
    assert result.code == 0, result.err
    for change in ("training.steps 40 -> 60", "-> 0.001", "batch_tokens 256 -> 128"):
        assert change in " ".join(result.err.split())
    assert "goes on after step 40" in result.err
    stored = read_toml(trained.run / "config.toml")
    assert stored["planned_steps"] == stored["training"]["steps"] == 60
    assert stored["optimizer"]["learning_rate"] == 0.001
    state, _ = read_training_state(trained.run / "checkpoints/step-000060")
    assert (state.step, state.tokens) == (60, 40 * 256 + 20 * 128)
    lengthened = load_tensors(trained.run / "checkpoints/step-000060/model.safetensors")
    assert any((lengthened[name] != tensor).any() for name, tensor in finished.items())
    rates = [e["learning_rate"] for e in log_of(trained.run) if e["event"] == "StepFinished"]
    assert rates[-1] < 0.001
    again = trained.tissu("train", "--resume", "cloth")
    assert again.code == 0 and "settings changed" not in again.err


def test_the_same_settings_again_are_no_change(trained_copy: Copy) -> None:
    trained = trained_copy()
    result = trained.tissu("train", "--resume", "cloth", "--steps", "40", "--batch-tokens", "256")
    assert result.code == 0, result.err


def test_another_length_in_another_unit(trained_copy: Copy) -> None:
    trained = trained_copy()
    result = trained.tissu("train", "--resume", "cloth", "--override", "--tokens", "11520")
    assert result.code == 0, result.err
    assert read_training_state(trained.run / "checkpoints/step-000045")[0].tokens == 11_520


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(("gpus", "way_out"), [(1, "--device cpu"), (2, "--gpus 1 --device cpu")])
def test_a_run_that_began_on_gpus_names_the_command_that_goes_on_without(
    trained_copy: Copy, gpus: int, way_out: str
) -> None:
    trained = trained_copy()
    settings = trained.run / "config.toml"
    text = settings.read_text("utf-8").replace('device = "cpu"', 'device = "cuda"')
    settings.write_text(text.replace("gpus = 1\n", f"gpus = {gpus}\n"), "utf-8")
    before = important(trained.run)
    refused = trained.tissu("train", "--resume", "cloth", "--override", "--steps", "44")
    assert refused.code == 4
    assert "this machine has no" in refused.error[0]
    assert refused.error[2] == f"try: tissu train --resume cloth --override {way_out}"
    assert important(trained.run) == before
    words = ["--resume", "cloth", "--override", *way_out.split(), "--steps", "44"]
    assert trained.tissu("train", *words).code == 0
