"""The verb train --resume: on from where a run stopped, equal to the bit on a CPU."""

import threading
from collections.abc import Generator, Iterator
from pathlib import Path

from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.config.model import ModelConfig, resolve_shape
from tissu_core.config.runs import TrainRun
from tissu_core.data.corpus import PreparationStoppedError, read_corpus
from tissu_core.data.prepare import prepare, shards_directory
from tissu_core.data.shards import TokenShards
from tissu_core.data.vocabulary import Vocabulary, given_vocabulary
from tissu_core.errors import IntegrityError
from tissu_core.events import Noticed, Planned, RunResumed, TrainEvent
from tissu_core.runs.follow import read_events
from tissu_core.runs.home import cache_directory
from tissu_core.runs.run_directory import CHECKPOINTS, find_run, writing
from tissu_core.runs.run_loop import Log, logging_to, read_config, run_to_end, set_up_machine
from tissu_core.storage import is_sealed, read_manifest


def resume(
    given: str, stop: threading.Event, *, is_fallback_allowed: bool = False
) -> Iterator[TrainEvent]:
    """Go on with a run, by name or path or "last", from its newest verified checkpoint.

    Raises:
        IntegrityError: If that checkpoint is damaged, or the corpus is not what it was.
        BusyError: If the run is being written.
    """
    directory = find_run(given)
    with writing(directory), logging_to(directory) as log:
        run, steps, key = read_config(directory)
        store = CheckpointStore(directory / CHECKPOINTS, run.training.keep)
        checkpoint = None
        if store.steps():
            checkpoint = store.newest_verified(is_fallback_allowed=is_fallback_allowed)
        try:
            shards = yield from _find_shards(run, key, stop)
        except PreparationStoppedError:
            yield Noticed(level="info", text="stopped before the first step; nothing changed")
            return
        yield from (event for event in read_events(directory) if isinstance(event, Planned))
        yield from _resume_at(directory, run, steps, shards, checkpoint, stop, log)


def _resume_at(
    directory: Path,
    run: TrainRun,
    steps: int,
    shards: TokenShards,
    checkpoint: Path | None,
    stop: threading.Event,
    log: Log,
) -> Iterator[TrainEvent]:
    from tissu_core.runs.assemble import assemble_new, assemble_saved
    from tissu_core.runtime.device import resolve_device

    set_up_machine(run)
    device = resolve_device(run.machine.device)
    if checkpoint is None:
        yield log(Noticed(level="warning", text="nothing was saved yet; the run begins at step 0"))
        config = _model_config(run, shards)
        assembly = assemble_new(run, config, steps, shards, directory, device)
    else:
        yield from map(log, _other_torch(checkpoint))
        assembly = assemble_saved(run, steps, shards, directory, checkpoint, device)
    step = assembly.state.step
    yield log(RunResumed(name=directory.name, directory=str(directory), from_step=step))
    yield from run_to_end(directory, assembly, stop, log, assembly.state.elapsed_seconds)


def _other_torch(checkpoint: Path) -> Iterator[TrainEvent]:
    """A word when another torch computes on: its sums may differ in the last bit."""
    import torch

    before = read_manifest(checkpoint).get("torch")
    if before != torch.__version__:
        yield Noticed(
            level="warning",
            text=f"this run began with torch {before} and goes on with {torch.__version__}: it is "
            "no longer equal to the bit to one that never stopped",
        )


def _model_config(run: TrainRun, shards: TokenShards) -> ModelConfig:
    assert run.model.num_hidden_layers and run.model.hidden_size and run.model.context_tokens
    return resolve_shape(
        run.model,
        layers=run.model.num_hidden_layers,
        width=run.model.hidden_size,
        context_tokens=run.model.context_tokens,
        vocab_size=shards.facts["vocab_size"],
    )


def _find_shards(
    run: TrainRun, key: str, stop: threading.Event
) -> Generator[TrainEvent, None, TokenShards]:
    """The tokens a run began with: they are what bit-equal resume rests on."""
    cached = cache_directory() / "tokens" / key
    read = [*run.data.corpus, *filter(None, [run.data.tokenizer])]
    gone = [path for path in read if not Path(path).exists()]
    if gone:
        if is_sealed(cached):
            yield Noticed(
                level="warning",
                text=f"{gone[0]} is gone; training goes on from the tokens made with it",
            )
            return TokenShards(cached)
        raise IntegrityError(
            f"{gone[0]} is gone, and so are the tokens made with it",
            safe="every checkpoint: tissu chat works",
            hint="put it back, then the same command",
        )
    vocab_size = run.model.vocab_size
    assert vocab_size
    vocabulary = given_vocabulary(run.data, vocab_size) or Vocabulary(vocab_size)
    files = yield from read_corpus(run.data, cache_directory(), stop.is_set)
    if shards_directory(cache_directory(), files, vocabulary).name != key:
        raise IntegrityError(
            f"the text in {', '.join(run.data.corpus)} is not what this run began with",
            safe="every checkpoint: tissu chat works",
            hint="put the corpus back as it was, or start a new run",
        )
    if is_sealed(cached):
        return TokenShards(cached)
    return (yield from prepare(run.data, vocab_size, cache_directory(), stop.is_set))
