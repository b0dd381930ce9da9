"""Two processes that train together end with the weights of one, however the model lies on them."""

import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.multiprocessing import start_processes

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.parallel.layouts import build_layout
from tissu_core.parallel.place import Place
from tissu_core.parallel.ranks import ALONE, Ranks, joined
from tissu_core.training.muon import Muon
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import Trainer

STEPS = 10
DTYPES = {"fp32": torch.float32, "fp64": torch.float64}
CASES = [
    (shard, optimizer, micro_batch, dtype)
    for dtype in DTYPES
    for shard, optimizer, micro_batch in (
        ("none", "adamw", 8),
        ("none", "adamw", 1),  # accumulates: one exchange a step
        ("none", "muon", 8),
        ("optim", "adamw", 8),
        ("optim", "muon", 2),
        ("grad", "adamw", 8),
        ("full", "adamw", 8),
        ("full", "adamw", 1),
        ("full", "sgd", 3),
    )
]
Case = tuple[str, str, int, str]


def batch(step: int) -> Tensor:
    return random_ids(8, 9, seed=step)


def trained(ranks: Ranks, case: Case) -> dict[str, Tensor]:
    """Weights and moments, whole on the main rank, after some steps."""
    shard, name, micro_batch, dtype = case
    torch.manual_seed(0)
    model = make_model(make_config()).to(DTYPES[dtype])
    layout = build_layout(model, ranks, shard=shard)
    optimizer = build_optimizer(
        model, name=name, learning_rate=1e-3, weight_decay=0.1, width=32, named=layout.owned()
    )
    for part in optimizer._parts:
        if isinstance(part, Muon):
            part._dtype = DTYPES[dtype]  # bf16 would round the smallest difference up to 1e-3
    settings = make_settings(steps=STEPS, micro_batch=micro_batch, clip_norm=0.5)
    trainer = Trainer(model, optimizer, settings, make_parts(batch), TrainState(), layout)
    for _ in trainer.run(lambda: False):
        pass
    moments = layout.gathered(optimizer.state_tensors())
    kept = layout.scattered(moments) if not ranks.are_many else {}
    weights = layout.weights() or model.state_dict()
    loss = torch.tensor(trainer.state.loss, dtype=torch.float64)
    found = {**weights, **{f"moment {key}": value for key, value in moments.items()}, "loss": loss}
    assert kept.keys() <= moments.keys()
    return {key: value.detach().clone() for key, value in found.items()}


def work(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    with joined(Place(rank, 2, rank, "127.0.0.1", port), on_gpu=False) as ranks:
        for number, case in enumerate(CASES):
            found = trained(ranks, case)
            if ranks.is_main:
                torch.save(found, Path(folder) / f"{number}.pt")


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes came to in each case."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start_processes(work, (port, str(folder)), nprocs=2, start_method="spawn")
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_two_processes_come_to_the_weights_and_moments_of_one(together: Path, case: Case) -> None:
    alone = trained(ALONE, case)
    found = torch.load(together / f"{CASES.index(case)}.pt", weights_only=True)
    assert found.keys() == alone.keys()
    tolerance = 1e-5 if case[-1] == "fp32" else 1e-10
    for name, value in alone.items():
        torch.testing.assert_close(
            found[name], value, atol=tolerance, rtol=0, msg=partial("{}: {}".format, name)
        )
