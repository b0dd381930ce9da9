"""Histograms of weights, gradients and activations while a model learns.

Activations are seen in a forward of their own, of a few of the step's sequences, without gradients
and as the model is written: nothing is hooked into a step or into compiled code, no random number
is drawn, and so the weights are those of a run without, to the bit.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from tissu_core.events.histograms import HistogramKind, HistogramsTaken, TensorHistogram
from tissu_core.models.bins import bin_edges, count_bins
from tissu_core.models.dead_units import find_dead, units_of
from tissu_core.models.decoder import Decoder
from tissu_core.models.observe import observe
from tissu_core.models.targets import read_ids
from tissu_core.runtime.compiler import uncompiled
from tissu_core.runtime.precision import autocast

_TOKENS = 2048
"""Of a step whose activations are seen: a record costs less, and bins of 2,048 tokens are full."""


class StepHistograms:
    """Looks at every so many steps of a model, and at the first."""

    def __init__(
        self,
        model: Decoder,
        every: int,
        precision: str,
        micro_batch: int,
        write: Callable[[HistogramsTaken], None],
    ) -> None:
        self._model, self._every, self._precision = model, every, precision
        self._micro_batch, self._write = micro_batch, write
        self._units = units_of(model)

    def look(self, step: int, windows: Tensor) -> None:
        """``step`` steps are done and the gradients of the next are there, which read ``windows``.

        Shapes: windows (B, T+1) on the CPU.
        """
        if step and (step + 1) % self._every:
            return
        tensors = [*self._of_parameters(), *self._of_activations(windows)]
        self._write(HistogramsTaken(step=step + 1, edges=bin_edges(), tensors=tuple(tensors)))

    def _of_parameters(self) -> Iterator[TensorHistogram]:
        for name, parameter in self._model.named_parameters():
            yield histogram_of(name, "weight", parameter)
        for name, parameter in self._model.named_parameters():
            if parameter.grad is not None:
                yield histogram_of(name, "grad", parameter.grad)

    def _of_activations(self, windows: Tensor) -> list[TensorHistogram]:
        found: list[TensorHistogram] = []

        def see(name: str, values: Tensor, *, are_units: bool = False) -> None:
            if values.numel():
                found.append(histogram_of(name, "activation", values, are_units=are_units))

        model, ids = self._model, read_ids(windows[:, :-1])
        rows = ids[: max(1, min(self._micro_batch, _TOKENS // ids.shape[1]))].to(model.device)
        blocks = [f"model.layers.{index}" for index in range(model.config.num_hidden_layers)]
        was_training = model.training
        model.eval()
        with (
            torch.no_grad(),  # tables that are made in inference mode could not be learned with
            self._as_written(),
            autocast(model.device, self._precision),
            observe(
                model,
                {name: lambda x, name=name: see(name, x) for name in blocks},  # type: ignore[misc]
                {n: lambda x, n=n: see(n, x, are_units=True) for n in self._units},  # type: ignore[misc]
            ),
        ):
            model.model(rows)
        model.train(was_training)
        return found

    def _as_written(self) -> AbstractContextManager[object]:
        """Compiled code would see none of this, and be compiled anew for its shape."""
        is_compiled = self._model.model._compiled_call_impl is not None
        return uncompiled() if is_compiled else nullcontext()


def histogram_of(
    name: str, kind: HistogramKind, values: Tensor, *, are_units: bool = False
) -> TensorHistogram:
    """What is kept of one tensor; of units (..., F) also which of them are dead."""
    values = values.detach()
    *counts, not_finite = count_bins(values).tolist()
    if not_finite:
        values = values.where(values.isfinite(), 0.0)
    filled = [place for place, count in enumerate(counts) if count] or [0]
    tops = values.float().abs().flatten(0, -2).amax(0).cpu() if are_units else None
    return TensorHistogram(
        name=name,
        kind=kind,
        numel=values.numel(),
        norm=float(torch.linalg.vector_norm(values, dtype=torch.float32)),
        not_finite=not_finite,
        first_bin=filled[0],
        counts=tuple(counts[filled[0] : filled[-1] + 1]),
        num_units=0 if tops is None else len(tops),
        dead="" if tops is None else f"{sum(1 << unit for unit in find_dead(tops)):x}",
    )
