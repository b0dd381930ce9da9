"""A run that was asked for samples, saves, scores and pauses equals one that was left alone."""

import json
import threading
from pathlib import Path

import torch

from tests.end_to_end.conftest import write_corpus
from tests.parity.test_resume import history, settings
from tissu_core.checkpoint.training_state import read_training_state
from tissu_core.checkpoint.weights import load_tensors
from tissu_core.events.training import EvalFinished, RequestTaken, StepFinished, TrainEvent
from tissu_core.runs.follow import read_events, read_facts
from tissu_core.runs.train.resume import resume
from tissu_core.runs.train.train import train
from tissu_core.runs.watch import ask
from tissu_core.tracking.control import CONTROL_FILE

ASKED = {
    7: ("sample", "pause", "evaluate"),
    28: ("evaluate", "save"),
    30: ("sample",),
    63: ("save", "evaluate"),
    91: ("evaluate",),
}


def test_what_is_asked_changes_no_number(tmp_path: Path, own_home: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    list(train(settings(corpus, "alone", "muon", 0.1), threading.Event()))
    alone, busy = own_home / "runs/alone", own_home / "runs/busy"
    for event in train(settings(corpus, "busy", "muon", 0.1), threading.Event()):
        _ask(busy, event)
    asked = [e.request for e in read_events(busy) if isinstance(e, RequestTaken)]
    words = ["resume", *(word for words in ASKED.values() for word in words)]
    assert sorted(asked) == sorted(words)
    _assert_equal(alone, busy)


def _ask(run: Path, event: TrainEvent) -> None:
    if isinstance(event, StepFinished):
        for word in ASKED.get(event.step, ()):
            assert ask(run, word)  # type: ignore[arg-type]
    elif isinstance(event, RequestTaken) and event.request == "pause":
        assert ask(run, "resume")


def _assert_equal(alone: Path, busy: Path) -> None:
    last = "checkpoints/step-000100"
    weights, others = (load_tensors(run / last / "model.safetensors") for run in (alone, busy))
    assert all(torch.equal(others[name], tensor) for name, tensor in weights.items())
    (state, moments), (other, other_moments) = (
        read_training_state(run / last) for run in (alone, busy)
    )
    assert all(torch.equal(other_moments[name], tensor) for name, tensor in moments.items())
    assert (state.best_step, state.best_bits_per_byte, state.evals_since_best) == (
        other.best_step,
        other.best_bits_per_byte,
        other.evals_since_best,
    )
    assert history(alone) == {
        key: value for key, value in history(busy).items() if key in history(alone)
    }
    scored = [e for e in read_events(busy) if isinstance(e, EvalFinished)]
    assert [e.step for e in scored if not e.is_asked] == [30, 60, 90, 100]
    assert read_facts(alone).bits_per_byte == read_facts(busy).bits_per_byte
    best = [json.loads((run / "checkpoints/best.json").read_text("utf-8")) for run in (alone, busy)]
    assert best[0] == best[1]


def test_stopped_by_request_and_resumed_is_equal_to_the_bit(tmp_path: Path, own_home: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    alone, busy = own_home / "runs/alone", own_home / "runs/busy"
    list(train(settings(corpus, "alone", "muon", 0.1), threading.Event()))
    for event in train(settings(corpus, "busy", "muon", 0.1), threading.Event()):
        if isinstance(event, StepFinished) and event.step == 49:
            ask(busy, "stop")
    assert read_facts(busy).state == "stopped"
    assert read_facts(busy).last_saved_step == 49
    for event in resume("busy", threading.Event()):  # what was asked before is over
        if isinstance(event, StepFinished) and event.step == 63:
            ask(busy, "stop now")
    facts = read_facts(busy)
    assert (facts.state, facts.last_saved_step) == ("stopped", 60)
    with (busy / CONTROL_FILE).open("ab") as file:
        file.write(b"nonsense\n" * 3)
    list(resume("busy", threading.Event()))
    _assert_equal(alone, busy)
