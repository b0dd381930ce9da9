"""The chunked loss and the plain one give the same numbers and gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from tests.samples import VOCAB_SIZE, make_config, make_model, random_ids
from tissu_core.models.decoder import Decoder
from tissu_core.models.loss import linear_nll, linear_nll_sum
from tissu_core.models.score import Score, score_windows
from tissu_core.training.objectives.next_token import next_token


@pytest.mark.parametrize(
    ("rows", "vocab_size"), [(1, 5), (64, 320), (200, 17_000), (128, 17_000), (65, 17_000)]
)
def test_chunked_loss_equals_cross_entropy_with_gradients(rows: int, vocab_size: int) -> None:
    hidden = torch.randn(rows, 12, requires_grad=True)
    weight = (torch.randn(vocab_size, 12) * 0.3).requires_grad_()
    targets = torch.randint(vocab_size, (rows,))
    ours = linear_nll_sum(hidden, weight, targets)
    ours.mul(0.37).backward()
    mine = hidden.grad, weight.grad
    hidden.grad = weight.grad = None
    theirs = F.cross_entropy(F.linear(hidden, weight), targets, reduction="sum")
    theirs.mul(0.37).backward()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(mine[0], hidden.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mine[1], weight.grad, atol=1e-5, rtol=1e-4)


def plain_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    smoothing: float,
    z: float,
    cap: float | None = None,
) -> torch.Tensor:
    """The closed formula over all logits."""
    logits = F.linear(hidden, weight)
    logits = logits if cap is None else cap * torch.tanh(logits / cap)
    loss = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)
    return loss + z * logits.logsumexp(-1).square().sum()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize(
    ("smoothing", "z"), [(0.1, 0.0), (0.0, 1e-2), (0.3, 1e-4), (1.0, 0.5), (0.0, 0.0)]
)
def test_smoothing_and_z_loss_equal_the_closed_formula_with_gradients(
    smoothing: float, z: float, dtype: torch.dtype, tolerance: float
) -> None:
    hidden = torch.randn(150, 12, dtype=dtype, requires_grad=True)
    weight = torch.randn(17_000, 12, dtype=dtype, requires_grad=True)
    targets = torch.randint(17_000, (150,))
    ours = linear_nll_sum(hidden, weight, targets, label_smoothing=smoothing, z_loss=z)
    mine = torch.autograd.grad(ours * 0.37, (hidden, weight))
    theirs = plain_loss(hidden, weight, targets, smoothing, z)
    assert ours.dtype == dtype
    assert ours.item() == pytest.approx(theirs.item(), rel=tolerance)
    for one, other in zip(mine, torch.autograd.grad(theirs * 0.37, (hidden, weight)), strict=True):
        torch.testing.assert_close(one, other, atol=tolerance, rtol=10 * tolerance)


@pytest.mark.parametrize(("smoothing", "z"), [(0.0, 0.0), (0.1, 1e-2)])
def test_capped_logits_have_the_closed_formulas_loss_and_gradients(
    smoothing: float, z: float
) -> None:
    hidden = torch.randn(150, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(17_000, 12, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(17_000, (150,))
    ours = linear_nll_sum(hidden, weight, targets, label_smoothing=smoothing, z_loss=z, softcap=2.0)
    theirs = plain_loss(hidden, weight, targets, smoothing, z, cap=2.0)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=0)
    mine = torch.autograd.grad(ours * 0.37, (hidden, weight))
    for one, other in zip(mine, torch.autograd.grad(theirs * 0.37, (hidden, weight)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-9)
    if not smoothing:
        scored = linear_nll(hidden.float(), weight.float(), targets, softcap=2.0).sum()
        assert scored.item() == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_smoothing_and_z_loss_hold_for_logits_of_ten_thousand(dtype: torch.dtype) -> None:
    hidden = torch.tensor([[100.0, -100.0, 3.0], [-100.0, 1.0, 100.0]]).to(dtype)
    weight = 100 * torch.eye(3)
    targets = torch.tensor([1, 2])
    leaves = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    exact = hidden.double().requires_grad_(), weight.double().requires_grad_()
    ours = linear_nll_sum(*leaves, targets, label_smoothing=0.1, z_loss=1e-4)
    theirs = plain_loss(*exact, targets, 0.1, 1e-4)
    assert ours.dtype == torch.float32
    assert ours.item() == pytest.approx(theirs.item(), rel=5e-3)  # bf16 has 8 bits
    mine, other = torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, exact)
    for one, reference in zip(mine, other, strict=True):
        torch.testing.assert_close(one.double(), reference, rtol=0.02, atol=0.5)


@pytest.mark.parametrize(("rows", "vocab_size"), [(3, 320), (200, 17_000)])
def test_loss_of_each_row_equals_cross_entropy(rows: int, vocab_size: int) -> None:
    hidden, weight = torch.randn(rows, 12), torch.randn(vocab_size, 12)
    targets = torch.randint(vocab_size, (rows,))
    expected = F.cross_entropy(F.linear(hidden, weight), targets, reduction="none")
    torch.testing.assert_close(linear_nll(hidden, weight, targets), expected, atol=1e-5, rtol=1e-5)


def test_loss_holds_for_logits_in_the_thousands() -> None:
    hidden, weight = torch.full((2, 4), 1000.0, requires_grad=True), torch.eye(4)
    loss = linear_nll_sum(hidden * torch.tensor([1.0, 2, 3, 4]), weight, torch.tensor([3, 0]))
    assert loss.item() == pytest.approx(3000.0)
    loss.backward()
    assert hidden.grad is not None
    assert hidden.grad.isfinite().all()


def test_loss_in_bf16_stays_near_fp32() -> None:
    hidden, weight = torch.randn(64, 32), torch.randn(VOCAB_SIZE, 32)
    targets = torch.randint(VOCAB_SIZE, (64,))
    rough = linear_nll_sum(hidden.bfloat16(), weight, targets)
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(linear_nll_sum(hidden, weight, targets).item(), rel=0.02)


def score(model: Decoder, windows: torch.Tensor, batch: int) -> Score:
    token_bytes = torch.ones(VOCAB_SIZE, dtype=torch.long)
    token_bytes[:16] = 0
    total = Score()
    for part in windows.split(batch):
        total += score_windows(model, part, token_bytes)
    return total


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_score_does_not_depend_on_the_batch_size(tiny_model: Decoder, batch: int) -> None:
    windows = random_ids(7, 33)
    whole, parts = score(tiny_model, windows, 7), score(tiny_model, windows, batch)
    assert parts.num_tokens == whole.num_tokens == 7 * 32
    assert parts.num_bytes == whole.num_bytes
    assert parts.nll == pytest.approx(whole.nll, rel=1e-6)


def test_uniform_model_has_the_vocabulary_as_perplexity() -> None:
    model = make_model(make_config())
    torch.nn.init.zeros_(model.lm_head.weight)
    found = score(model, random_ids(4, 33), 2)
    assert found.perplexity == pytest.approx(VOCAB_SIZE, rel=1e-5)
    assert found.bits_per_byte == pytest.approx(math.log2(VOCAB_SIZE), rel=1e-5)


@pytest.mark.parametrize("softcap", [None, 0.5])
def test_score_equals_a_plain_loop_over_log_probabilities(softcap: float | None) -> None:
    model = make_model(make_config(final_logit_softcapping=softcap))
    windows = random_ids(3, 20)
    windows[:, 7] = 0  # a control token: read, not scored
    with torch.no_grad():
        log_probs = model(windows[:, :-1]).log_softmax(-1)
        trained = next_token(model, windows).loss_sum
    chosen = log_probs.gather(2, windows[:, 1:, None])
    torch.testing.assert_close(trained, -chosen.sum(), rtol=1e-5, atol=1e-4)
    expected = 0.0
    for row in range(3):
        for position in range(19):
            target = int(windows[row, position + 1])
            if target >= 16:
                expected -= float(log_probs[row, position, target])
    found = score(model, windows, 3)
    assert found.nll == pytest.approx(expected, rel=1e-5)
    assert found.num_tokens == 3 * 18
