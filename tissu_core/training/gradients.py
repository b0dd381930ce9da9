"""The gradient of one step: micro-batches that add up, and limits on its size."""

import math
from collections.abc import Callable, Generator

import torch
from torch import Tensor

from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed
from tissu_core.models.decoder import Decoder
from tissu_core.models.fit import too_large
from tissu_core.models.targets import num_targets
from tissu_core.parallel.layouts import Layout
from tissu_core.runtime.memory import free_bytes, is_out_of_memory, release_cached
from tissu_core.runtime.precision import autocast, device_of_fp64
from tissu_core.training.objectives.next_token import LossOutput
from tissu_core.training.phases import phase

Objective = Callable[[Decoder, Tensor], LossOutput]


class Gradients:
    """Computes a step's gradient in micro-batches that fit memory; the mean is over targets."""

    def __init__(
        self,
        model: Decoder,
        objective: Objective,
        micro_batch: int,
        precision: str,
        layout: Layout | None = None,
    ) -> None:
        self.micro_batch = micro_batch
        """Sequences computed at once."""
        self._model, self._objective, self._precision = model, objective, precision
        self._layout = layout or Layout(model)
        self._parameters = [parameter for _, parameter in self._layout.parameters()]
        self._device = next(model.parameters()).device
        self._short_rank = 0
        """The last whose memory did not suffice."""

    def accumulate(
        self, windows: Tensor, seed: int, loss_scale: Tensor | None = None
    ) -> Generator[Noticed, None, Tensor]:
        """Leave the gradient of the mean loss in the parameters; returns that loss, (), in fp64.

        Where memory does not suffice, the step begins again with micro-batches half as large, on
        all ranks: its gradient is the one they give from the start. ``loss_scale`` multiplies the
        loss on the way back alone. Shapes: windows (B, T+1).

        Raises:
            ResourceError: If one sequence at a time is too much, or the others cannot begin again.
        """
        count, rows = max(1, num_targets(windows)), self._layout.rows(windows)
        asked = fitting = min(self.micro_batch, len(rows))
        while (loss := self._attempt(rows, count, seed, loss_scale)) is None:
            if fitting == 1:
                raise self._too_large()
            self.micro_batch = fitting = math.ceil(fitting / 2)
        self._layout.take_gradients()
        if loss_scale is not None:
            torch._foreach_mul_(self._gradients(), 1 / loss_scale)
        loss = self._layout.total(loss)
        if fitting < asked:
            yield Noticed(
                level="warning",
                text=f"memory did not suffice for {asked} sequences at once{self._where}; now it "
                f"is {self.micro_batch} at once, and as many in a step as before",
            )
        return loss

    def _attempt(
        self, rows: Tensor, count: int, seed: int, loss_scale: Tensor | None
    ) -> Tensor | None:
        """This rank's part of the loss; None, and no gradients, where any rank ran out of memory.

        A rank that did answers what the others wait for within the step. That it did is told apart
        from that, among the processors: to read it from a gradient, each step would wait for the
        GPU.
        """
        torch.manual_seed(seed + self._layout.data.rank)
        loss: Tensor | None = None
        try:
            loss = self._add_up(rows, count, loss_scale)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        if loss is None:  # outside of the except clause, whose traceback holds the activations
            self._model.zero_grad(set_to_none=True)
            release_cached(self._device)
        ranks, layout = self._layout.ranks, self._layout
        if not layout.can_begin_again:
            if loss is None:
                raise self._cannot_begin_again(min(self.micro_batch, len(rows)))
            return loss
        if loss is None:
            layout.give_up()
        (number,) = ranks.largest(0 if loss is not None else ranks.rank + 1)
        if not number:
            return loss
        self._short_rank = int(number) - 1
        layout.begin_again()
        return None

    @property
    def _where(self) -> str:
        return f" on rank {self._short_rank}" if self._layout.ranks.are_many else ""

    def _too_large(self) -> ResourceError:
        """All ranks say the same: what is free where it did not suffice."""
        ranks = self._layout.ranks
        is_here = self._short_rank == ranks.rank
        (free,) = ranks.largest(free_bytes(self._device) if is_here else 0)
        is_fp32, recompute = self._precision == "fp32", self._model.model.recompute
        error = too_large(self._model.config, free, recompute, is_fp32=is_fp32)
        return ResourceError(error.message + self._where, safe=error.safe, hint=error.hint)

    def _cannot_begin_again(self, sequences: int) -> ResourceError:
        """The others are inside of a layer, or of a stage, and wait for this rank's part of it."""
        smaller = f"training.micro_batch={math.ceil(sequences / 2)}"
        ways = ["--checkpoint-activations block"] * (self._model.model.recompute != "block")
        return ResourceError(
            f"memory does not suffice for {sequences} sequence{'s' * (sequences > 1)} at once "
            f"on rank {self._layout.ranks.rank}",
            safe="every checkpoint",
            hint=f"tissu train --resume last --override --set {smaller}"
            if sequences > 1
            else "; or ".join([*ways, "a smaller --context"]),
        )

    def _add_up(self, rows: Tensor, count: int, loss_scale: Tensor | None) -> Tensor:
        # Torch's layouts take the mean over the ranks, and what is wanted is the sum.
        share = count / self._layout.data.world_size
        loss = torch.zeros((), dtype=torch.float64, device=device_of_fp64(self._device))

        def forward(micro: Tensor) -> Tensor:
            micro = micro.to(self._device, non_blocking=True)
            with phase("forward"), autocast(self._device, self._precision):
                return self._layout.compute(self._loss_sum, micro)

        def backward(loss_sum: Tensor) -> None:
            mean = loss_sum / share
            if loss_scale is not None:
                mean = mean * loss_scale
            with phase("backward"):
                mean.backward()  # type: ignore[no-untyped-call]
            loss.add_(loss_sum.detach().to(loss.device) / count)

        self._layout.accumulate(torch.split(rows, self.micro_batch), forward, backward)
        return loss

    def _loss_sum(self, model: Decoder, micro: Tensor) -> Tensor:
        return self._objective(model, micro).loss_sum

    def clip(self, largest_value: float, largest_norm: float) -> Tensor:
        """Limit each element and then the global norm; 0 is no limit. Returns the norm before."""
        found = self._norm()
        norm = found
        if largest_value:
            torch.nn.utils.clip_grad_value_(self._parameters, largest_value, foreach=True)
            norm = self._norm()
        if largest_norm:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, largest_norm, norm, foreach=True)
        return found

    def _norm(self) -> Tensor:
        return self._layout.norm([parameter.grad for parameter in self._parameters])

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self._parameters if p.grad is not None]
