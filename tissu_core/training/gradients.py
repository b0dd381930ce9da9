"""The gradient of one step: micro-batches that add up, and limits on its size."""

import math
from collections.abc import Callable, Generator

import torch
from torch import Tensor

from tissu_core.events.shared import Noticed
from tissu_core.models.decoder import Decoder
from tissu_core.models.fit import too_large
from tissu_core.models.targets import num_targets
from tissu_core.runtime.memory import free_bytes, is_out_of_memory, release_cached
from tissu_core.runtime.precision import autocast, device_of_fp64
from tissu_core.training.objectives.next_token import LossOutput

Objective = Callable[[Decoder, Tensor], LossOutput]


class Gradients:
    """Computes a step's gradient in micro-batches that fit memory; the mean is over targets."""

    def __init__(
        self, model: Decoder, objective: Objective, micro_batch: int, precision: str
    ) -> None:
        self.micro_batch = micro_batch
        """Sequences computed at once."""
        self._model, self._objective, self._precision = model, objective, precision
        self._parameters = list(model.parameters())
        self._device = self._parameters[0].device

    def accumulate(self, windows: Tensor, seed: int) -> Generator[Noticed, None, Tensor]:
        """Leave the gradient of the mean loss in the parameters; returns that loss, (), in fp64.

        Where memory does not suffice, the step begins again with micro-batches half as large: its
        gradient is the one they give from the start. Shapes: windows (B, T+1).

        Raises:
            ResourceError: If one sequence at a time is too much.
        """
        asked = self.micro_batch = min(self.micro_batch, len(windows))
        while True:
            torch.manual_seed(seed)
            try:
                loss = self._add_up(windows)
                break
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            # Outside of the except clause, whose traceback would hold the activations.
            self._model.zero_grad(set_to_none=True)
            release_cached(self._device)
            if self.micro_batch == 1:
                raise too_large(self._model.config, free_bytes(self._device))
            self.micro_batch = math.ceil(self.micro_batch / 2)
        if self.micro_batch < asked:
            yield Noticed(
                level="warning",
                text=f"memory did not suffice for {asked} sequences at once; now it is "
                f"{self.micro_batch} at once, and as many in a step as before",
            )
        return loss

    def _add_up(self, windows: Tensor) -> Tensor:
        count = max(1, num_targets(windows))
        loss = torch.zeros((), dtype=torch.float64, device=device_of_fp64(self._device))
        for micro in torch.split(windows, self.micro_batch):
            with autocast(self._device, self._precision):
                output = self._objective(self._model, micro.to(self._device, non_blocking=True))
            (output.loss_sum / count).backward()  # type: ignore[no-untyped-call]
            loss += output.loss_sum.detach().to(loss.device) / count
        return loss

    def clip(self, largest_value: float, largest_norm: float) -> Tensor:
        """Limit each element and then the global norm; 0 is no limit. Returns the norm before."""
        found = torch.nn.utils.get_total_norm(self._gradients(), foreach=True)
        norm = found
        if largest_value:
            torch.nn.utils.clip_grad_value_(self._parameters, largest_value, foreach=True)
            norm = torch.nn.utils.get_total_norm(self._gradients(), foreach=True)
        if largest_norm:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, largest_norm, norm, foreach=True)
        return found

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self._parameters if p.grad is not None]
