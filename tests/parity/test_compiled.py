"""Compiled code learns what the same lines as they are written learn."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.core.training.test_compiling import compile_by  # noqa: F401  a fixture
from tests.end_to_end.conftest import write_corpus
from tests.parity.test_resume import assert_equal_to_the_bit, settings, stop_after
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.config.runs import TrainRun
from tissu_core.events.shared import Noticed
from tissu_core.runs.train import train as verb
from tissu_core.runs.train.resume import resume
from tissu_core.runs.train.stored_run import read_run
from tissu_core.runs.train.train import train
from tissu_core.runtime import compiler
from tissu_core.runtime.compiler import find_compiler
from tissu_core.training import compiling

needs_compiler = pytest.mark.skipif(find_compiler() is None, reason="there is no C++ compiler")


def compiled(run: TrainRun, choice: bool | None, steps: int = 100, **machine: object) -> TrainRun:
    training = replace(run.training, steps=steps)
    return replace(run, machine=replace(run.machine, compile=choice, **machine), training=training)


def test_the_choice_is_measured_said_stored_and_reused(
    tmp_path: Path,
    own_home: Path,
    compile_by: Callable[[Any], None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compile_by("eager")
    monkeypatch.setattr(compiling, "_FASTER", 1e9)
    monkeypatch.setattr(compiler, "SECONDS", 0.0)
    monkeypatch.setattr(compiler, "find_compiler", lambda: "/usr/bin/c++")
    corpus = write_corpus(tmp_path / "corpus")
    run = compiled(settings(corpus, "chosen", "muon", 0.0), None)
    stop, said = threading.Event(), []
    for event in train(run, stop):
        said += [event.text] if isinstance(event, Noticed) else []
        if getattr(event, "step", 0) >= 25:
            stop.set()
    assert any("of the time" in text for text in said)
    assert read_run(own_home / "runs/chosen").run.machine.compile is True
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"]
    again = [e.text for e in resume("chosen", threading.Event()) if isinstance(e, Noticed)]
    assert any("compiled in" in text for text in again)


def test_a_short_run_is_not_tried(tmp_path: Path, own_home: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    run = compiled(settings(corpus, "short", "muon", 0.0), None, steps=1)
    list(train(run, threading.Event()))
    assert read_run(own_home / "runs/short").run.machine.compile is False
    assert verb


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("recompute", ["none", "block"])
def test_compiled_weights_are_the_eager_ones(
    tmp_path: Path, own_home: Path, recompute: str
) -> None:
    torch.compiler.reset()
    corpus = write_corpus(tmp_path / "corpus")
    for name, choice in (("eager", False), ("compiled", True)):
        run = settings(corpus, name, "adamw", 0.0)
        run = compiled(run, choice, 10, checkpoint_activations=recompute, precision="fp32")
        events = list(train(run, threading.Event()))
        assert not [e for e in events if isinstance(e, Noticed) and e.level == "warning"]
    eager, other = (
        load_tensors(own_home / "runs" / name / "model/model.safetensors")
        for name in ("eager", "compiled")
    )
    for name, tensor in eager.items():
        assert (tensor - other[name]).abs().max() < 1e-4, name


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_compiled_run_is_resumed_to_the_bit(
    tmp_path: Path, own_home: Path, precision: str
) -> None:
    torch.compiler.reset()
    corpus = write_corpus(tmp_path / "corpus")
    straight, halved = (
        compiled(settings(corpus, name, "muon", 0.1), True, precision=precision)
        for name in ("straight", "halved")
    )
    list(train(straight, threading.Event()))
    stop_after(49, halved)
    torch.compiler.reset()
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)
