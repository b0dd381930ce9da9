"""Training in processes of its own, and in one: what a case of either comes to."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.multiprocessing import start_processes

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.models.decoder import Decoder
from tissu_core.parallel.layouts import Layout, build_layout
from tissu_core.parallel.place import Place
from tissu_core.parallel.ranks import Ranks, joined
from tissu_core.training.muon import Muon
from tissu_core.training.objectives.next_token import LossOutput, next_token
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import Trainer

STEPS = 10
DTYPES = {"fp32": torch.float32, "fp64": torch.float64}
TOLERANCES = {"fp32": 1e-5, "fp64": 1e-10}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to train."""

    dtype: str = "fp32"
    optimizer: str = "adamw"
    micro_batch: int = 8
    shard: str = "none"
    tp: int = 1
    pp: int = 1
    changes: dict[str, object] = field(default_factory=dict)
    recompute: str = "none"
    documents: bool = False
    frozen: tuple[str, ...] = ()
    bad_step: int = -1
    """One whose loss is no number."""

    def __str__(self) -> str:
        facts = [self.dtype, self.optimizer, f"micro{self.micro_batch}", self.shard]
        facts += [f"{name}{size}" for name, size in (("tp", self.tp), ("pp", self.pp)) if size > 1]
        facts += [f"{name}={value}" for name, value in self.changes.items()]
        facts += [self.recompute] * (self.recompute != "none") + ["documents"] * self.documents
        facts += ["frozen"] * bool(self.frozen) + ["bad"] * (self.bad_step >= 0)
        return "-".join(facts)


BAD = 1
"""An id that no other batch has."""


def batch(step: int, bad_step: int = -1) -> Tensor:
    ids = random_ids(8, 9, seed=step)
    ids[0, 0] = BAD if step == bad_step else ids[0, 0]
    return ids


def objective(model: Decoder, windows: Tensor) -> LossOutput:
    """Next tokens, which of a bad batch have no loss."""
    found = next_token(model, windows)
    is_bad = (windows == BAD).any()
    return replace(found, loss_sum=torch.where(is_bad, float("nan"), found.loss_sum))


def make_part(ranks: Ranks, case: Case) -> tuple[Decoder, Layout]:
    model = make_model(make_config(**case.changes)).to(DTYPES[case.dtype])
    model.set_recompute(case.recompute)
    if case.documents:
        model.read_documents_apart(20)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(case.frozen or ("-",)))
    layout = build_layout(model, ranks, shard=case.shard, tp=case.tp, pp=case.pp)
    return model, layout


def trained(ranks: Ranks, case: Case) -> dict[str, Tensor]:
    """Weights and moments, whole on the main rank, after some steps; and what a whole copy says."""
    torch.manual_seed(0)
    model, layout = make_part(ranks, case)
    optimizer = build_optimizer(
        model,
        name=case.optimizer,
        learning_rate=1e-3,
        weight_decay=0.1,
        width=32,
        named=layout.owned(),
    )
    for part in optimizer._parts:
        if isinstance(part, Muon):
            part._dtype = DTYPES[case.dtype]  # bf16 would round the smallest difference up to 1e-3
    settings = make_settings(steps=STEPS, micro_batch=case.micro_batch, clip_norm=0.5)
    parts = make_parts(partial(batch, bad_step=case.bad_step), objective=objective)
    trainer = Trainer(model, optimizer, settings, parts, TrainState(), layout)
    for _ in trainer.run(lambda: False):
        pass
    moments = layout.gathered(optimizer.state_tensors())
    weights = layout.weights() or model.state_dict()
    with layout.whole() as whole, torch.no_grad():
        logits = whole.eval()(batch(99)[:1])
    found = {**weights, **{f"moment {key}": value for key, value in moments.items()}}
    state = trainer.state
    found |= {
        "skips": torch.tensor(state.skips_in_row + 10 * state.unreported_skips),
        "loss": torch.tensor(trainer.state.loss, dtype=torch.float64),
        "norm": layout.norm([p.detach() for _, p in layout.parameters()]),
        "logits": logits,
    }
    return {key: value.detach().clone() for key, value in found.items()}


def work(rank: int, port: int, folder: str, size: int, cases: Sequence[Case]) -> None:
    torch.set_num_threads(1)
    with joined(Place(rank, size, rank, "127.0.0.1", port), on_gpu=False) as ranks:
        for number, case in enumerate(cases):
            found = trained(ranks, case)
            if ranks.is_main:
                torch.save(found, Path(folder) / f"{number}.pt")
    # Nothing is left to do, and what the process group leaves behind ended one of some hundred
    # processes by SIGABRT while the interpreter went down.
    os._exit(0)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def train_together(folder: Path, size: int, cases: Sequence[Case]) -> Path:
    """What so many processes come to in each case, by its number."""
    given = (free_port(), str(folder), size, cases)
    start_processes(work, given, nprocs=size, start_method="spawn")
    return folder


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def require_equal(found: dict[str, Tensor], alone: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == alone.keys()
    for name, value in alone.items():
        torch.testing.assert_close(
            found[name], value, atol=tolerance, rtol=0, msg=partial("{}: {}".format, name)
        )
