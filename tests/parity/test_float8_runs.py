"""Runs that multiply in float8 learn as much, resume as exactly, and lie on many as others do."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.multiprocessing import start_processes

from tests.end_to_end.conftest import write_corpus
from tests.parity.ranks import free_port
from tests.parity.test_compiled import needs_compiler
from tests.parity.test_float8 import in_float8, needs_products, plain_twin
from tests.parity.test_precision import final_loss, in_precision
from tests.parity.test_resume import assert_equal_to_the_bit, settings, stop_after
from tests.samples import random_ids
from tissu_core.events.shared import Noticed
from tissu_core.events.training import EvalFinished, Planned
from tissu_core.layers import linear
from tissu_core.layers.float8 import float8_linear
from tissu_core.parallel.layouts import build_layout
from tissu_core.parallel.place import Place
from tissu_core.parallel.ranks import ALONE, Ranks, joined
from tissu_core.runs.train.resume import resume
from tissu_core.runs.train.train import train
from tissu_core.runtime import precision
from tissu_core.training.gradients import Gradients
from tissu_core.training.objectives.next_token import next_token

WIDE = {"hidden_size": 48}
"""So that every projection of a small model fits."""


@pytest.fixture
def as_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """This processor as a device with float8, which is refused otherwise: it would be slow."""
    monkeypatch.setattr(precision, "_require_float8", lambda device: None)


@pytest.mark.usefixtures("as_a_card")
@pytest.mark.parametrize("way", [pytest.param(float8_linear, marks=needs_products), plain_twin])
def test_the_validation_loss_is_that_of_fp32_within_two_percent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[..., Tensor]
) -> None:
    monkeypatch.setattr(linear, "float8_linear", way)
    corpus = write_corpus(tmp_path / "corpus")
    losses = {
        name: final_loss(in_precision(settings(corpus, name, "adamw", 0.0, **WIDE), name))
        for name in ("fp32", "bf16", "fp8")
    }
    assert losses["fp32"] < 3, "it has learned something"
    assert len({*losses.values()}) == 3, "each computes in its own numbers"
    assert losses["fp8"] == pytest.approx(losses["fp32"], rel=0.02)


@needs_products
@pytest.mark.usefixtures("as_a_card")
def test_stopped_and_resumed_is_equal_to_the_bit(tmp_path: Path, own_home: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    straight, halved = (
        in_precision(settings(corpus, name, "adamw", 0.1, **WIDE), "fp8")
        for name in ("straight", "halved")
    )
    events = list(train(straight, threading.Event()))
    reasons = next(event.reasons for event in events if isinstance(event, Planned))
    assert any("all 14 projections of the blocks multiply in float8" in why for why in reasons)
    stop_after(49, halved)
    list(resume("halved", threading.Event()))
    assert_equal_to_the_bit(own_home)


@pytest.mark.slow
@needs_products
@needs_compiler
@pytest.mark.usefixtures("as_a_card")
def test_a_compiled_run_is_in_one_piece_and_learns_as_much(tmp_path: Path) -> None:
    torch.compiler.reset()
    corpus = write_corpus(tmp_path / "corpus")
    losses = []
    for choice in (False, True):
        run = in_precision(settings(corpus, f"compiled-{choice}", "adamw", 0.0, **WIDE), "fp8")
        run = replace(run, machine=replace(run.machine, compile=choice))
        events = list(train(run, threading.Event()))
        assert not [e for e in events if isinstance(e, Noticed) and e.level == "warning"]
        losses.append([e.loss for e in events if isinstance(e, EvalFinished)][-1])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


LAYOUTS = [{"shard": shard} for shard in ("none", "optim", "grad", "full")] + [{"pp": 2}]


def step(ranks: Ranks, layout: dict[str, object]) -> dict[str, Tensor]:
    """The gradients of one batch, whole on the main rank; each micro-batch has its own scales."""
    model = in_float8().train()
    lies = build_layout(model, ranks, precision="fp8", **layout)  # type: ignore[arg-type]
    for _ in Gradients(model, next_token, 4, "fp8", lies).accumulate(random_ids(8, 17), 0):
        pass
    held = {f"{n}/grad": p.grad for n, p in lies.parameters() if p.grad is not None}
    return lies.gathered(held)


def work(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    with joined(Place(rank, 2, rank, "127.0.0.1", port), on_gpu=False) as ranks:
        for number, layout in enumerate(LAYOUTS):
            found = step(ranks, layout)
            if ranks.is_main:
                torch.save(found, Path(folder) / f"{number}.pt")
    os._exit(0)


@needs_products
def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    start_processes(work, (free_port(), str(tmp_path)), nprocs=2, start_method="spawn")
    alone = step(ALONE, {})
    for number, layout in enumerate(LAYOUTS):
        found = torch.load(tmp_path / f"{number}.pt", weights_only=True)
        assert layout.get("shard") == "optim" or found.keys() == alone.keys()
        for name, value in found.items():
            error = (value - alone[name]).abs().max() / alone[name].abs().max()
            assert error < 1e-5, (layout, name, error)
