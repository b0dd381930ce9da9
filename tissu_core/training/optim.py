"""Optimizers as the loop sees them: step with a factor on the peak rate, and state by name."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tissu_core.runtime.precision import DTYPES, resolve_precision
from tissu_core.training.muon import Muon

MATRICES_RATE = {"muon": 0.03, "adamw": 3e-3}
"""Peak rate of a model 256 wide, chosen in docs/recipes.md."""
_BETAS = (0.9, 0.95)


class Optimizer:
    """One or two torch optimizers over named parameters, whose groups share one schedule."""

    def __init__(self, model: nn.Module, parts: list[torch.optim.Optimizer]) -> None:
        self._names: dict[Tensor, str] = {
            parameter: name for name, parameter in model.named_parameters()
        }
        self._parts = parts
        for part in parts:
            if isinstance(part, torch.optim.AdamW):
                _make_adam_state(part)
            for group in part.param_groups:
                group["peak_lr"] = group["lr"]

    def step(self, factor: float) -> None:
        """Update all parameters at ``factor`` times their peak rates, and drop the gradients."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = group["peak_lr"] * factor
            part.step()
            part.zero_grad(set_to_none=True)

    @property
    def peak_learning_rate(self) -> float:
        """The matrices' peak rate, which is the one people set."""
        return float(self._parts[0].param_groups[0]["peak_lr"])

    def state_tensors(self) -> dict[str, Tensor]:
        """Every moment as ``parameter name/moment``."""
        return {f"{name}/{key}": value.contiguous() for name, key, value in self._iter_state()}

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Take up the moments of ``state_tensors``.

        Raises:
            KeyError: If one is missing.
        """
        for name, key, value in self._iter_state():
            value.copy_(tensors[f"{name}/{key}"])

    def _iter_state(self) -> Iterator[tuple[str, str, Tensor]]:
        for part in self._parts:
            for parameter, state in part.state.items():
                for key, value in state.items():
                    yield self._names[parameter], key, value


def build_optimizer(
    model: nn.Module, *, name: str, learning_rate: float, weight_decay: float, width: int
) -> Optimizer:
    """The optimizer for a model; ``learning_rate`` is that of the inner matrices.

    Norm weights and embeddings are not decayed. With Muon, embeddings and head have Adam rates of
    their own that fall with the square root of the width.
    """
    matrices, embedding, head, vectors = _sort_parameters(model)
    device = next(model.parameters()).device
    width_factor = (width / 256) ** -0.5
    if name == "adamw":
        decayed = {"params": [*matrices, *head], "lr": learning_rate, "weight_decay": weight_decay}
        plain = {"params": [*embedding, *vectors], "lr": learning_rate, "weight_decay": 0.0}
        return Optimizer(model, [_adamw([decayed, plain], eps=1e-8)])
    muon = Muon(
        matrices,
        lr=learning_rate,
        weight_decay=weight_decay,
        dtype=_product_dtype(device),
    )
    ratio = learning_rate / MATRICES_RATE["muon"]
    groups = [
        {"params": embedding, "lr": 0.3 * width_factor * ratio, "weight_decay": 0.0},
        {"params": head, "lr": 0.008 * width_factor * ratio, "weight_decay": 0.0},
        {"params": vectors, "lr": 0.01 * ratio, "weight_decay": 0.0},
    ]
    adam = _adamw([group for group in groups if group["params"]], eps=1e-10)
    return Optimizer(model, [muon, adam])


def default_learning_rate(name: str, width: int) -> float:
    """Peak rate of the matrices: Muon's holds for all widths, AdamW's falls with the width."""
    return MATRICES_RATE[name] * (1.0 if name == "muon" else (width / 256) ** -0.5)


def _adamw(groups: list[dict[str, object]], eps: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(groups, betas=_BETAS, eps=eps, fused=True)


def _make_adam_state(part: torch.optim.Optimizer) -> None:
    """Let torch create its own empty state, without moving a parameter."""
    for group in part.param_groups:
        for parameter in group["params"]:
            part.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }


def _sort_parameters(
    model: nn.Module,
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    matrices, embedding, head, vectors = [], [], [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            vectors.append(parameter)
        elif "embed_" in name:
            embedding.append(parameter)
        elif "lm_head" in name:
            head.append(parameter)
        else:
            matrices.append(parameter)
    return matrices, embedding, head, vectors


def _product_dtype(device: torch.device) -> torch.dtype:
    """bf16 where the device multiplies it natively; the iteration tolerates it."""
    return DTYPES[resolve_precision("auto", device)]
