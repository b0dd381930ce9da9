"""Training in processes of its own, and in one: what a case of either comes to."""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.multiprocessing import start_processes

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import TissuError
from tissu_core.events.shared import Noticed
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
# In fp32 below 1e-5 with AVX-512; on a processor without it 1.07e-5 was met in one weight, where
# Adam divides a gradient of nearly nothing by itself.
TOLERANCES = {"fp32": 2e-5, "fp64": 1e-10}


@dataclass(frozen=True, kw_only=True)
class Short:
    """Memory that does not suffice on some ranks, once in a step or whatever is done."""

    where: Literal["entry", "forward", "backward", "middle"] = "forward"
    """Before torch sees a micro-batch, before the model does, when its backward begins, or between
    the backwards of two layers."""
    step: int = 3
    micro: int = 0
    ranks: tuple[int, ...] = (1,)
    is_lasting: bool = False


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
    short: Short | None = None
    bucket_mb: float = 25

    def __str__(self) -> str:
        facts = [self.dtype, self.optimizer, f"micro{self.micro_batch}", self.shard]
        facts += [f"{name}{size}" for name, size in (("tp", self.tp), ("pp", self.pp)) if size > 1]
        facts += [f"{name}={value}" for name, value in self.changes.items()]
        facts += [self.recompute] * (self.recompute != "none") + ["documents"] * self.documents
        if short := self.short:
            facts += [f"short-{short.where}-step{short.step}-micro{short.micro}-{short.ranks}"]
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


class Shortage:
    """Stands before an objective, and has no memory where a case says so."""

    def __init__(self, short: Short | None, rank: int) -> None:
        self._short = short if short and rank in short.ranks else None
        self._step = self._micro = -1

    def batch(self, step: int, bad_step: int) -> Tensor:
        self._step, self._micro = step, -1
        return batch(step, bad_step)

    def watch(self, layout: Layout) -> None:
        compute = layout.compute

        def enter(deed: Callable[..., Tensor], *given: Tensor) -> Tensor:
            self._micro += 1
            if self._is_now("entry"):
                self._refuse()
            return compute(deed, *given)

        layout.compute = enter  # type: ignore[method-assign, assignment]

    def objective(self, model: Decoder, windows: Tensor) -> LossOutput:
        if self._is_now("forward"):
            self._refuse()
        hooks = []
        if self._is_now("middle"):
            first = model.model.layers[0]
            hooks = [first.register_forward_hook(lambda _, given, out: self._refuse_back(out))]
        found = objective(model, windows)
        for hook in hooks:
            hook.remove()
        if self._is_now("backward"):
            self._refuse_back(found.loss_sum)
        return found

    def _is_now(self, where: str) -> bool:
        short, now = self._short, (self._step, self._micro, where)
        return short is not None and now == (short.step, short.micro, short.where)

    def _refuse_back(self, tensor: Tensor) -> None:
        tensor.register_hook(self._refuse)  # type: ignore[no-untyped-call]

    def _refuse(self, gradient: Tensor | None = None) -> None:
        self._micro = -1  # the step begins again
        if self._short and not self._short.is_lasting:
            self._short = None
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")


def make_part(ranks: Ranks, case: Case) -> tuple[Decoder, Layout]:
    model = make_model(make_config(**case.changes)).to(DTYPES[case.dtype])
    model.set_recompute(case.recompute)
    if case.documents:
        model.read_documents_apart(20)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(case.frozen or ("-",)))
    layout = build_layout(
        model,
        ranks,
        shard=case.shard,
        tp=case.tp,
        pp=case.pp,
        bucket_mb=case.bucket_mb,  # type: ignore[arg-type]  # torch takes parts of one, too
    )
    return model, layout


def trained(ranks: Ranks, case: Case) -> dict[str, Tensor]:
    """Weights and moments, whole on the main rank, after some steps; and what a whole copy says."""
    torch.manual_seed(0)
    model, layout = make_part(ranks, case)
    shortage = Shortage(case.short, ranks.rank)
    shortage.watch(layout)
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
    parts = make_parts(
        partial(shortage.batch, bad_step=case.bad_step), objective=shortage.objective
    )
    trainer = Trainer(model, optimizer, settings, parts, TrainState(), layout)
    said = [event for event in trainer.run(lambda: False) if isinstance(event, Noticed)]
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
        "said": torch.tensor(len([event for event in said if "memory" in event.text])),
        "micro_batch": torch.tensor(state.micro_batch),
    }
    return {key: value.detach().clone() for key, value in found.items()}


def work(rank: int, port: int, folder: str, size: int, cases: Sequence[Case]) -> None:
    torch.set_num_threads(1)
    with joined(Place(rank, size, rank, "127.0.0.1", port), on_gpu=False) as ranks:
        for number, case in enumerate(cases):
            try:
                found = trained(ranks, case)
            except TissuError as error:
                told = f"{error.code}: {error.message}; {error.hint}"
                (Path(folder) / f"{number}.{rank}.txt").write_text(told)
                continue
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
