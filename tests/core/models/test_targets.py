from functools import partial

import pytest
import torch

from tests.samples import random_ids
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import score_windows
from tissu_core.models.targets import num_targets, read_ids
from tissu_core.training.gradients import Gradients
from tissu_core.training.objectives.next_token import next_token


def masked(ids: torch.Tensor, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows in which about half of the tokens are no targets, and which are."""
    is_target = torch.rand(ids.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.where(is_target, ids, ~ids), is_target


def test_a_window_tells_its_ids_and_its_targets() -> None:
    windows = torch.tensor([[5, ~7, 0, ~0]])
    assert read_ids(windows).tolist() == [[5, 7, 0, 0]]
    assert num_targets(windows) == 1


def test_a_gradient_is_the_mean_over_targets_whatever_the_micro_batch(tiny_model: Decoder) -> None:
    windows, is_target = masked(random_ids(6, 13))
    log_probs = tiny_model(read_ids(windows)[:, :-1]).log_softmax(-1)
    chosen = log_probs.gather(-1, read_ids(windows)[:, 1:, None])[..., 0]
    expected = -chosen[is_target[:, 1:]].mean()
    expected.backward()
    gradient = tiny_model.lm_head.weight.grad
    assert gradient is not None
    objective = partial(next_token, is_masked=True)
    for micro_batch in (6, 2, 1):
        tiny_model.zero_grad()
        steps = Gradients(tiny_model, objective, micro_batch, "fp32")
        run = steps.accumulate(windows, seed=0)
        with pytest.raises(StopIteration) as stop:
            next(run)
        assert abs(float(stop.value.value) - float(expected.detach())) < 1e-5
        found = tiny_model.lm_head.weight.grad
        assert found is not None and torch.allclose(found, gradient, atol=1e-6)


def test_only_targets_are_scored(tiny_model: Decoder) -> None:
    windows, is_target = masked(random_ids(3, 13))
    num_bytes = torch.full((320,), 2)
    score = score_windows(tiny_model, windows, num_bytes)
    log_probs = tiny_model(read_ids(windows)[:, :-1]).log_softmax(-1)
    nll = -log_probs.gather(-1, read_ids(windows)[:, 1:, None])[..., 0][is_target[:, 1:]]
    assert abs(score.nll - float(nll.detach().sum())) < 1e-3
    assert (score.num_tokens, score.num_bytes) == (len(nll), 2 * len(nll))
