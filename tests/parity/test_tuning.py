"""Going on from a model: the loss of transformers, and resumes equal to the bit."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.end_to_end.conftest import write_corpus
from tests.parity.test_resume import assert_equal_to_the_bit, stop_after
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.model_directory import write_model_files
from tissu_core.config.load import build_config
from tissu_core.config.runs import TrainRun
from tissu_core.models.targets import labels, read_ids
from tissu_core.runs.train.resume import resume
from tissu_core.runs.train.train import train
from tissu_core.text.tokenizer import Tokenizer
from tissu_core.training.objectives.next_token import next_token


def test_the_loss_of_replies_is_that_of_transformers(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(make_config())
    write_model_files(tmp_path, model, tiny_tokenizer)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    ids = random_ids(3, 20)
    is_target = torch.rand(ids.shape, generator=torch.Generator().manual_seed(1)) < 0.4
    windows = torch.where(is_target, ids, ~ids)
    output = next_token(model, windows, is_masked=True)
    expected = theirs(read_ids(windows), labels=labels(windows)).loss
    assert (
        abs(float(output.loss_sum.detach()) / output.num_targets - float(expected.detach())) < 1e-5
    )


@pytest.fixture
def origin(tmp_path: Path, tiny_tokenizer: Tokenizer) -> Path:
    path = tmp_path / "origin"
    path.mkdir()
    write_model_files(path, make_model(make_config()), tiny_tokenizer)
    return path


def write_chats(path: Path, count: int = 60) -> Path:
    turns = [
        [
            {"role": "user", "content": f"{number} and {number % 7}?"},
            {"role": "assistant", "content": f"That is {number + number % 7}."},
        ]
        for number in range(count)
    ]
    path.write_text("".join(json.dumps({"messages": turn}) + "\n" for turn in turns), "utf-8")
    return path


def settings(corpus: Path, origin: Path, name: str, freeze: str = "") -> TrainRun:
    return build_config(
        TrainRun,
        {
            "name": name,
            "data": {"corpus": [str(corpus)], "validation_fraction": 0.2},
            "tuning": {"origin": str(origin), "freeze": freeze},
            "model": {"dropout": 0.1},
            "training": {
                "steps": 100,
                "batch_tokens": 128,
                "micro_batch": 2,
                "log_every": 7,
                "eval_every": 30,
                "save_every": 25,
            },
            "machine": {"threads": 1},
        },
    )


@pytest.mark.parametrize(("kind", "freeze"), [("text", ""), ("chats", "embed,layers.0")])
def test_a_tuned_run_resumes_to_the_bit_when_its_origin_is_gone(
    tmp_path: Path, own_home: Path, origin: Path, kind: str, freeze: str
) -> None:
    if kind == "text":
        corpus = write_corpus(tmp_path / "corpus")
    else:
        corpus = write_chats(tmp_path / "chats.jsonl")
    list(train(settings(corpus, origin, "straight", freeze), threading.Event()))
    stop_after(49, settings(corpus, origin, "halved", freeze))
    shutil.rmtree(origin)
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)


def test_a_run_that_was_stopped_at_its_first_save_resumes_to_the_bit(
    tmp_path: Path, own_home: Path, origin: Path
) -> None:
    """Its best checkpoint so far is that of step 0."""
    corpus = write_chats(tmp_path / "chats.jsonl")
    worse = settings(corpus, origin, "straight")
    worse = replace(worse, optimizer=replace(worse.optimizer, learning_rate=5.0))
    list(train(worse, threading.Event()))
    stop_after(28, replace(worse, name="halved"))
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)


def test_a_run_of_which_nothing_was_saved_begins_with_its_origin_again(
    tmp_path: Path, own_home: Path, origin: Path
) -> None:
    corpus = write_chats(tmp_path / "chats.jsonl")
    list(train(settings(corpus, origin, "straight"), threading.Event()))
    list(train(settings(corpus, origin, "halved"), threading.Event()))
    shutil.rmtree(own_home / "runs/halved/checkpoints")
    (own_home / "runs/halved/events.jsonl").unlink()
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)
