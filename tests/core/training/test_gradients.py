from collections.abc import Callable

import pytest
import torch

from tests.samples import make_config, make_model, random_ids
from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed
from tissu_core.models.decoder import Decoder
from tissu_core.training.gradients import Gradients
from tissu_core.training.objectives.next_token import LossOutput, next_token

Objective = Callable[[Decoder, torch.Tensor], LossOutput]
CPU_REFUSAL = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
CUDA_REFUSAL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


def limited(most: int, refusal: Exception) -> Objective:
    """An objective that has memory for ``most`` sequences, and says so only after the forward."""

    def objective(model: Decoder, windows: torch.Tensor) -> LossOutput:
        output = next_token(model, windows)
        if len(windows) > most:
            output.loss_sum.backward()  # half-made gradients are left behind
            raise refusal
        return output

    return objective


def accumulate(objective: Objective, micro_batch: int) -> tuple[list[Noticed], Gradients, Decoder]:
    model = make_model(make_config()).train()
    model.set_dropout(0.2)
    gradients = Gradients(model, objective, micro_batch, "fp32")
    return list(gradients.accumulate(random_ids(10, 9), seed=3)), gradients, model


@pytest.mark.parametrize("refusal", [CPU_REFUSAL, CUDA_REFUSAL])
def test_what_does_not_fit_is_halved_and_equal_to_small_from_the_start(refusal: Exception) -> None:
    said, gradients, halved = accumulate(limited(3, refusal), 16)
    _, _, small = accumulate(next_token, 3)
    assert gradients.micro_batch == 3, "10, 5, 3"
    assert len(said) == 1
    assert "10 sequences at once; now it is 3" in said[0].text
    for one, other in zip(halved.parameters(), small.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_a_sequence_that_does_not_fit_names_a_size_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tissu_core.training.gradients.free_bytes", lambda device: 8e7)
    wide = make_model(make_config(hidden_size=1024, num_hidden_layers=1))
    gradients = Gradients(wide, limited(0, CUDA_REFUSAL), 4, "fp32")
    with pytest.raises(
        ResourceError, match=r"1 layers x 1024 .* needs 0\.\d GB, 0\.1 GB free"
    ) as e:
        list(gradients.accumulate(random_ids(4, 9), seed=0))
    assert e.value.code == 4
    assert e.value.hint.startswith("--depth ")


def test_other_errors_are_not_taken_for_missing_memory() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        accumulate(limited(3, RuntimeError("shape mismatch")), 4)


@pytest.mark.parametrize(("value", "norm"), [(0.0, 0.0), (1e-3, 0.0), (0.0, 0.5), (1e-3, 0.01)])
def test_clipping_is_that_of_torch_by_value_and_then_by_norm(value: float, norm: float) -> None:
    _, gradients, model = accumulate(next_token, 4)
    _, _, plain = accumulate(next_token, 4)
    expected = torch.nn.utils.clip_grad_norm_(plain.parameters(), float("inf"))
    if value:
        torch.nn.utils.clip_grad_value_(plain.parameters(), value)
    if norm:
        torch.nn.utils.clip_grad_norm_(plain.parameters(), norm)
    assert gradients.clip(value, norm).item() == pytest.approx(expected.item())
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_small_batch_does_not_make_those_after_it_smaller() -> None:
    """As the first ones of a ramp are."""
    gradients = Gradients(make_model(make_config()), next_token, 8, "fp32")
    for sequences in (2, 10):
        assert not list(gradients.accumulate(random_ids(sequences, 9), seed=0))
    assert gradients.micro_batch == 8
