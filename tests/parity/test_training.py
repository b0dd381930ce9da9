"""The loop and plain torch take the same steps."""

from collections.abc import Iterator
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.models.decoder import Decoder
from tissu_core.training.objectives.next_token import next_token
from tissu_core.training.optim import Optimizer, build_optimizer
from tissu_core.training.schedules import after_warmup, cosine
from tissu_core.training.trainer import Trainer


def schedule(step: int, progress: float) -> float:
    shape = partial(cosine, floor=0.1)
    return after_warmup(shape, step, progress, warmup_steps=10, total_steps=100)


def batches() -> Iterator[Tensor]:
    yield from (random_ids(2, 9, seed=step) for step in range(100))


def test_a_hundred_steps_of_adamw_are_those_of_plain_torch() -> None:
    config = make_config(num_hidden_layers=1, hidden_size=16, head_dim=4, intermediate_size=24)
    ours, plain = make_model(config), make_model(config)
    optimizer = build_optimizer(
        ours, name="adamw", learning_rate=3e-3, weight_decay=0.1, width=config.hidden_size
    )
    settings = make_settings(steps=100, micro_batch=2, clip_norm=1.0)
    parts = make_parts(list(batches()).__getitem__, schedule=schedule)
    for _ in Trainer(ours, optimizer, settings, parts, TrainState()).run(lambda: False):
        pass

    named = dict(plain.named_parameters())
    is_decayed = {name: p.ndim == 2 and "embed" not in name for name, p in named.items()}
    groups = [
        {"params": [p for name, p in named.items() if is_decayed[name]], "weight_decay": 0.1},
        {"params": [p for name, p in named.items() if not is_decayed[name]], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95), eps=1e-8, foreach=False)
    for step, windows in enumerate(batches()):
        for group in adamw.param_groups:
            group["lr"] = 3e-3 * schedule(step, step / 100)
        logits = plain(windows[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        adamw.step()
        adamw.zero_grad()

    moved = make_model(config).model.layers[0].mlp.up_proj.weight
    assert (ours.model.layers[0].mlp.up_proj.weight - moved).abs().max() > 0.01
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, named[name], atol=2e-4, rtol=1e-3, msg=name)


class _Recorder(Optimizer):
    """Keeps the gradients it is asked to step along."""

    def step(self, factor: float, is_bad: Tensor | None = None) -> None:
        self.gradients = [p.grad.clone() for p in self._names if p.grad is not None]
        super().step(factor, is_bad)


def one_step(micro_batch: int, windows: Tensor) -> tuple[list[Tensor], float, Decoder]:
    model = make_model(make_config()).double()
    optimizer = _Recorder(
        list(model.named_parameters()),
        [torch.optim.SGD(model.parameters(), lr=0.1, fused=True)],
        peak_learning_rate=0.1,
    )
    settings = make_settings(steps=1, micro_batch=micro_batch, clip_norm=0.0)
    trainer = Trainer(model, optimizer, settings, make_parts(lambda _: windows), TrainState())
    for _ in trainer.run(lambda: False):
        pass
    return optimizer.gradients, trainer.state.loss, model


@pytest.mark.parametrize("micro_batch", [8, 5, 1])
def test_micro_batches_add_up_to_the_whole_batch(micro_batch: int) -> None:
    windows = random_ids(32, 17)
    whole, whole_loss, whole_model = one_step(32, windows)
    parts, parts_loss, parts_model = one_step(micro_batch, windows)
    assert parts_loss == pytest.approx(whole_loss, abs=1e-9)
    assert max(float(g.abs().max()) for g in whole) > 1e-3
    for one, other in zip(whole, parts, strict=True):
        assert (one - other).abs().max() < 1e-9
    for one, other in zip(whole_model.parameters(), parts_model.parameters(), strict=True):
        assert (one - other).abs().max() < 1e-9


def test_the_objective_is_the_mean_cross_entropy_of_the_next_token() -> None:
    model = make_model(make_config())
    windows = random_ids(3, 12)
    output = next_token(model, windows)
    logits = model(windows[:, :-1])
    expected = F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
    assert output.num_targets == 33
    assert output.loss_sum.item() / 33 == pytest.approx(expected.item(), rel=1e-5)
