"""Optimizers as the loop sees them: step with a factor on the peak rate, and state by name."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tissu_core.parallel.layouts import Named
from tissu_core.runtime.precision import has_native_bf16
from tissu_core.training.muon import Muon
from tissu_core.training.rmsprop import RMSprop

MATRICES_RATE = {"muon": 0.03, "adamw": 3e-3, "adam": 3e-3, "rmsprop": 2e-3, "sgd": 0.2}
"""Peak rate of a model 256 wide, chosen in docs/recipes.md."""
# Of the rate of fresh weights. Code, then 50 steps of AdamW on release notes, 2 layers x 128, bits
# per byte of new text (before: 4.07) and old (2.27): 0.7 of it gives 2.13 and 2.70, 0.24 gives
# 2.48 and 2.42, 0.07 gives 3.15 and 2.30. A tenth keeps what was known; --lr learns more.
# SmolLM2-135M, 20 steps of 256 tokens of short conversations, nats per learned token of new ones
# (before: 3.00) and per token of other English (2.59): a tenth of AdamW's gives 0.17 and 2.63.
_TUNING_SHARE = 0.1
_DECOUPLED_DECAY = {"muon": 0.1, "adamw": 0.1}
_BETAS = (0.9, 0.95)
_MOMENTS = {
    torch.optim.AdamW: ("exp_avg", "exp_avg_sq"),
    torch.optim.Adam: ("exp_avg", "exp_avg_sq"),
    torch.optim.SGD: ("momentum_buffer",),
    RMSprop: ("square_avg",),
    Muon: (),  # which keeps its own
}


class Optimizer:
    """One or two torch optimizers over named parameters, whose groups share one schedule."""

    def __init__(
        self, named: Named, parts: list[torch.optim.Optimizer], peak_learning_rate: float
    ) -> None:
        self._names: dict[Tensor, str] = {parameter: name for name, parameter in named}
        self._parts = parts
        self.peak_learning_rate = peak_learning_rate
        """The matrices' peak rate, which is the one people set."""
        for part in parts:
            _make_state(part)
            for group in part.param_groups:
                group["peak_lr"] = group["lr"]

    def step(self, factor: float, is_bad: Tensor | None = None) -> None:
        """Update all parameters at ``factor`` times their peak rates, and drop the gradients.

        Where the scalar ``is_bad`` is true, weights and moments stay as they are, to the bit; it is
        read on its device, so nothing waits for it.
        """
        if is_bad is not None and is_bad.device.type == "mps" and is_bad:
            self.drop_gradients()  # torch's fused steps do not read found_inf there
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = group["peak_lr"] * factor
            if is_bad is not None:
                # The names by which torch's own gradient scaler tells its fused steps.
                part.grad_scale, part.found_inf = None, is_bad.float()  # type: ignore[attr-defined]
            part.step()
        self.drop_gradients()

    def drop_gradients(self) -> None:
        """Forget the gradients of all parameters."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)

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
    model: nn.Module,
    *,
    name: str,
    learning_rate: float,
    weight_decay: float,
    width: int,
    named: Named | None = None,
) -> Optimizer:
    """The optimizer for a model; ``learning_rate`` is that of the inner matrices.

    ``named`` are the parameters that it moves, if those are not all of the model's. Frozen ones are
    left out. Norm weights and embeddings are not decayed. With Muon, embeddings and head have Adam
    rates of their own that fall with the square root of the width.
    """
    named = list(model.named_parameters()) if named is None else named
    matrices, embedding, head, vectors = _sort_parameters(named)
    device = next(model.parameters()).device
    width_factor = (width / 256) ** -0.5
    if name != "muon":
        decayed = {"params": [*matrices, *head], "lr": learning_rate, "weight_decay": weight_decay}
        plain = {"params": [*embedding, *vectors], "lr": learning_rate, "weight_decay": 0.0}
        groups = _filled([decayed, plain])
        return Optimizer(named, [_build_plain(name, groups)] if groups else [], learning_rate)
    muon = [
        Muon(
            [{"params": matrices}],
            lr=learning_rate,
            weight_decay=weight_decay,
            dtype=_product_dtype(device),
        )
        for _ in range(bool(matrices))
    ]
    ratio = learning_rate / MATRICES_RATE["muon"]
    groups = [
        {"params": embedding, "lr": 0.3 * width_factor * ratio, "weight_decay": 0.0},
        {"params": head, "lr": 0.008 * width_factor * ratio, "weight_decay": 0.0},
        {"params": vectors, "lr": 0.01 * ratio, "weight_decay": 0.0},
    ]
    adam = [_adamw(filled, eps=1e-10)] if (filled := _filled(groups)) else []
    return Optimizer(named, [*muon, *adam], learning_rate)


def default_learning_rate(name: str, width: int, *, is_tuning: bool = False) -> float:
    """Peak rate of the matrices: Muon's holds for all widths, the others' fall with the width.

    A model that has learned before moves by a share of it, or it forgets what it knew.
    """
    rate = MATRICES_RATE[name] * (1.0 if name == "muon" else (width / 256) ** -0.5)
    return rate * (_TUNING_SHARE if is_tuning else 1.0)


def _filled(groups: list[dict[str, object]]) -> list[dict[str, object]]:
    """The groups that have parameters: of others, all are frozen, or belong to another."""
    return [group for group in groups if group["params"]]


def default_weight_decay(name: str) -> float:
    """0.1 where it is decoupled from the gradient; elsewhere it would compete with it."""
    return _DECOUPLED_DECAY.get(name, 0.0)


def _build_plain(name: str, groups: list[dict[str, object]]) -> torch.optim.Optimizer:
    """One optimizer for all parameters.

    Sources: AdamW, Loshchilov and Hutter, arXiv:1711.05101; Adam, Kingma and Ba, arXiv:1412.6980;
    Nesterov's momentum, Sutskever et al. 2013, On the importance of initialization and momentum.
    """
    match name:
        case "adamw":
            return _adamw(groups, eps=1e-8)
        case "adam":
            return torch.optim.Adam(groups, betas=_BETAS, eps=1e-8, fused=True)
        case "rmsprop":
            return RMSprop(groups)
        case _:
            return torch.optim.SGD(groups, momentum=0.9, nesterov=True, fused=True)


def _adamw(groups: list[dict[str, object]], eps: float) -> torch.optim.AdamW:
    return torch.optim.AdamW(groups, betas=_BETAS, eps=eps, fused=True)


def _make_state(part: torch.optim.Optimizer) -> None:
    """The state that torch would make at the first step, without moving a parameter."""
    moments = _MOMENTS[type(part)]
    for group in part.param_groups:
        for parameter in group["params"]:
            if "exp_avg" in moments:
                step = torch.zeros((), dtype=torch.float32, device=parameter.device)
                part.state[parameter]["step"] = step
            for name in moments:
                part.state[parameter][name] = torch.zeros_like(parameter)


def _sort_parameters(
    named: Named,
) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    matrices, embedding, head, vectors = [], [], [], []
    for name, parameter in named:
        if not parameter.requires_grad:
            continue
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
    return torch.bfloat16 if has_native_bf16(device) else torch.float32
