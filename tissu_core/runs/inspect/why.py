"""The verb inspect why: which text a step read, and what it cost the model, token by token."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.checkpoint.leases import lease
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.data.batches import Part
from tissu_core.data.places import Place, Places
from tissu_core.data.shards import TokenShards
from tissu_core.errors import InputError
from tissu_core.runs.follow import read_events
from tissu_core.runs.inspect.spikes import (
    StepReport,
    batch_offset,
    last_step,
    report_of,
    worst_spike,
)
from tissu_core.runs.run_directory import CHECKPOINTS, find_run
from tissu_core.runs.tokenize.figures import written_id
from tissu_core.runs.train.data_order import data_order
from tissu_core.runs.train.stored_run import DataSeam, StoredRun, read_run
from tissu_core.runs.train.stored_tokens import open_tokens

if TYPE_CHECKING:
    from torch import Tensor

_MOST_TRIED = 32
"""Steps of one report whose batches are tried to find the one that made it a spike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRead:
    """A piece of a document in a sequence; line and byte are None where nobody knows them.

    ``document`` is its number in the file, from 1. Units: tokens.
    """

    path: str
    document: int
    line: int | None
    byte: int | None
    first_token: int
    num_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceRead:
    """A sequence of the batch. A loss is None for a token that is read and not predicted."""

    loss: float | None
    """Nats per token that is predicted."""
    documents: tuple[DocumentRead, ...]
    tokens: tuple[str, ...]
    losses: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExplained:
    """A step's batch, as the nearest checkpoint reads it, and what the log says."""

    run: str
    step: int
    is_chosen: bool
    """Whether nobody named the step, and it is of the worst spike."""
    num_tried: int
    """Of a spike's report of several steps, how many batches were tried to find the step."""
    checkpoint_step: int
    """Of the model that reads: the last before the steps that are tried, else the first behind."""
    loss: float | None
    report: StepReport | None
    """None of a step that the log does not reach."""
    sequences: tuple[SequenceRead, ...]


def explain_step(given: str, step: int | None) -> StepExplained:
    """What a step of a run read, and the loss of each of its tokens; None is the worst spike.

    Raises:
        InputError: If the run has no such step, no checkpoint, or its tokens are gone.
    """
    directory = find_run(given)
    events, stored = read_events(directory), read_run(directory)
    _refuse_unknown(directory, step, last_step(events))
    report = worst_spike(events, directory) if step is None else report_of(events, step)
    candidates = _steps_of(report) if step is None and report else [step or 1]
    _refuse_older(directory, stored.seam, min(candidates))
    again = f"tissu train --resume {directory.name}   (makes them again, of the same text)"
    shards = open_tokens(stored, directory.name, again)
    store = CheckpointStore(directory / CHECKPOINTS)
    checkpoint = _nearest_checkpoint(directory, store, candidates)
    with lease(store.path_of(checkpoint)):
        reader = _Reader(stored, shards, store.path_of(checkpoint))
    tried = {
        candidate: reader.read(candidate - 1 + batch_offset(events, candidate))
        for candidate in candidates
    }
    chosen = max(tried, key=lambda candidate: tried[candidate].loss or 0.0)
    return StepExplained(
        run=directory.name,
        step=chosen,
        is_chosen=step is None,
        num_tried=len(tried),
        checkpoint_step=checkpoint,
        loss=tried[chosen].loss,
        report=report,
        sequences=tuple(reader.sequences(tried[chosen])),
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch by its number, with its windows (B, T+1) and what their tokens cost (B, T)."""

    number: int
    windows: "Tensor"
    losses: "Tensor"

    @property
    def loss(self) -> float | None:
        return _mean(self.losses)


class _Reader:
    """Reads batches of a run with the model of a checkpoint."""

    def __init__(self, stored: StoredRun, shards: TokenShards, checkpoint: Path) -> None:
        import torch

        from tissu_core.checkpoint.model_directory import load_model
        from tissu_core.runtime.device import default_threads, resolve_device

        torch.set_num_threads(default_threads())
        run, loaded = stored.run, load_model(checkpoint, resolve_device("auto"))
        self._model, self._tokenizer = loaded.model, loaded.tokenizer
        if run.objective.document_mask:
            self._model.read_documents_apart(self._tokenizer.start_id)
        context = run.model.context_tokens or self._model.config.max_position_embeddings
        self._order = data_order(run, shards, stored.seam, context, stored.seam.step)
        self._at_once = run.training.micro_batch or 1
        self._places = Places(shards, self._tokenizer.pieces)

    def read(self, number: int) -> _Batch:
        import torch

        from tissu_core.interpret.token_losses import token_losses

        windows = torch.from_numpy(self._order.batch(number))
        return _Batch(number, windows, token_losses(self._model, windows, self._at_once))

    def sequences(self, batch: _Batch) -> Iterator[SequenceRead]:
        from tissu_core.models.targets import read_ids

        parts_of_rows = self._order.parts(batch.number)
        places = self._places.find([part for parts in parts_of_rows for part in parts])
        ids_of_rows = read_ids(batch.windows).tolist()
        for parts, ids, row in zip(parts_of_rows, ids_of_rows, batch.losses, strict=True):
            yield SequenceRead(
                loss=_mean(row),
                documents=tuple(_documents(parts, places)),
                tokens=tuple(written_id(self._tokenizer, id) for id in ids),
                losses=(None, *(None if math.isnan(loss) else loss for loss in row.tolist())),
            )


def _documents(parts: Sequence[Part], places: Mapping[Part, Place]) -> Iterator[DocumentRead]:
    first = 0
    for part in parts:
        place = places[part]
        yield DocumentRead(
            path=place.path,
            document=place.document,
            line=place.line,
            byte=place.byte,
            first_token=first,
            num_tokens=part.num_tokens,
        )
        first += part.num_tokens


def _mean(losses: "Tensor") -> float | None:
    """The mean of those that are numbers; None where none is."""
    mean = float(losses.double().nanmean())
    return None if math.isnan(mean) else mean


def _steps_of(report: StepReport) -> list[int]:
    """The steps of a report, or some of many."""
    steps = range(report.first_step, report.last_step + 1)
    every = -(-len(steps) // _MOST_TRIED)
    return [*steps[::-every]]


def _refuse_unknown(directory: Path, step: int | None, last: int) -> None:
    if step is not None and step > last:
        where = f"its log ends at step {last}" if last else "its log has no step"
        raise InputError(
            f"{directory.name} has no step {step}: {where}",
            hint=f"tissu inspect why {directory.name}" + (f" --step {last}" if last else ""),
        )


def _refuse_older(directory: Path, seam: DataSeam, step: int) -> None:
    if step <= seam.step:
        raise InputError(
            f"what step {step} of {directory.name} read is no longer known: its text or its batch "
            f"was another one up to step {seam.step}",
            hint=f"tissu inspect why {directory.name} --step {seam.step + 1}",
        )


def _nearest_checkpoint(directory: Path, store: CheckpointStore, tried: Sequence[int]) -> int:
    """The last one from before all steps; else the first that has learned from all.

    One that has learned from some of them would find these easier than the others.
    """
    steps = store.steps()
    if not steps:
        raise InputError(
            f"{directory.name} has no checkpoint that could read step {min(tried)}",
            hint=f"tissu train --resume {directory.name}",
        )
    before = [saved for saved in steps if saved < min(tried)]
    behind = [saved for saved in steps if saved >= max(tried)]
    return before[-1] if before else [*behind, steps[-1]][0]
