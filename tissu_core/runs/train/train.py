"""The verb train: from a corpus to a model."""

import importlib
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core import __version__
from tissu_core.config.profiling import NO_PROFILE, ProfileConfig
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import asked_size, resolve_shape
from tissu_core.data.corpus import PreparationStoppedError
from tissu_core.data.prepare import prepare
from tissu_core.data.shards import TokenShards
from tissu_core.data.sources import check_paths
from tissu_core.data.vocabulary import given_vocabulary
from tissu_core.errors import ConfigError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import RunStarted, TrainEvent
from tissu_core.models.count import checkpoint_bytes
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import cache_directory
from tissu_core.runs.run_directory import new_run_directory, refuse_taken
from tissu_core.runs.suites import settle_suites
from tissu_core.runs.train.many import in_turn, needs_workers, on_all_ranks, writing_on_main
from tissu_core.runs.train.plan import Plan
from tissu_core.runs.train.planning import plan_notices, plan_run
from tissu_core.runs.train.room import require_room
from tissu_core.runs.train.run_loop import run_to_end, set_up_machine
from tissu_core.runs.train.stored_run import StoredRun, write_run
from tissu_core.runs.train.workers import check_devices, run_workers
from tissu_core.tracking.control import Control

if TYPE_CHECKING:
    from tissu_core.parallel.ranks import Ranks
    from tissu_core.runs.train.assembly import Assembly
    from tissu_core.runs.train.origin import Origin

Preparing = Generator[TrainEvent, None, TokenShards]


def train(
    run: TrainRun,
    stop: threading.Event,
    *,
    is_dry_run: bool = False,
    profiling: ProfileConfig = NO_PROFILE,
) -> Iterator[TrainEvent]:
    """Train a new model on a corpus.

    Setting ``stop`` ends the run at a step boundary, saved. A dry run ends after the plan.

    Raises:
        TissuError: Before anything is written if the settings or the corpus cannot be used.
    """
    if not run.data.corpus:
        raise ConfigError("no corpus was named", field="corpus", hint="tissu train FOLDER")
    suites = settle_suites(run.training.eval_suites)
    run = replace(run, training=replace(run.training, eval_suites=suites))
    if needs_workers(run.machine) and not is_dry_run:
        yield from _train_in_workers(run, stop, profiling)
    else:
        yield from on_all_ranks(
            run.machine,
            lambda ranks: _train(run, stop, ranks, profiling, is_dry_run=is_dry_run),
            stop,
        )


def _train_in_workers(
    run: TrainRun, stop: threading.Event, profiling: ProfileConfig
) -> Iterator[TrainEvent]:
    """The text is prepared here, where it is shown; the workers find it."""
    check_devices(run.machine.gpus)
    directory = new_run_directory(run)
    prepared = yield from _prepare(run, stop, lambda work: work())
    if prepared is not None:
        run = replace(prepared.run, name="", out=str(directory))
        yield from run_workers(run, {"verb": "train", "profiling": asdict(profiling)}, stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    run: TrainRun
    origin: "Origin | None"
    shards: TokenShards


def _prepare(
    run: TrainRun,
    stop: threading.Event,
    by: Callable[[Callable[[], Preparing]], Preparing],
) -> Generator[TrainEvent, None, _Prepared | None]:
    """The run with its tokenizer named, and its text as tokens; None if it was stopped."""
    check_paths(run.data.corpus)
    origin: Origin | None = None
    if run.tuning.origin:
        from tissu_core.runs.train.origin import open_origin, settle

        origin = open_origin(run)
        run = settle(run, origin)
    else:
        _check_shape(run)
        run = _with_tokenizer(run)
    try:
        with _importing_torch():
            shards = yield from by(
                lambda: prepare(
                    run.data,
                    run.model.vocab_size,
                    cache_directory(),
                    stop.is_set,
                    origin.vocabulary if origin else None,
                )
            )
    except PreparationStoppedError:
        yield Noticed(level="info", text="stopped before the first step; nothing was saved")
        return None
    return _Prepared(run=run, origin=origin, shards=shards)


def _train(
    run: TrainRun,
    stop: threading.Event,
    ranks: "Ranks",
    profiling: ProfileConfig,
    *,
    is_dry_run: bool,
) -> Iterator[TrainEvent]:
    directory = ranks.from_main(lambda: new_run_directory(run))
    prepared = yield from _prepare(run, stop, partial(in_turn, ranks))
    if prepared is None:
        return
    run, origin, shards = prepared.run, prepared.origin, prepared.shards
    given = origin.loaded.model.config if origin else None
    num_ranks = run.machine.num_workers if is_dry_run else ranks.world_size
    plan, planned = ranks.from_main(lambda: plan_run(run, shards, given, num_ranks))
    set_up_machine(plan.run)
    of_origin = origin.loaded.notices if origin else ()
    notices = [*of_origin, *plan_notices(plan, shards)]
    if is_dry_run:
        yield from notices
        yield planned
        from tissu_core.runs.train.probe import probe

        yield from probe(
            plan,
            lambda share: _assemble(share, origin, shards, directory, ranks),
            directory,
            num_ranks // run.machine.num_parts,
        )
        return
    is_averaged = bool(plan.run.optimizer.ema_decay)
    require_room(directory, checkpoint_bytes(plan.model, is_averaged=is_averaged), num_saved=0)
    with writing_on_main(directory, ranks) as log:
        ranks.from_main(lambda: refuse_taken(directory))
        control = Control(directory)
        yield log(_run_started(directory))
        yield log(planned)
        for notice in notices:
            yield log(notice)
        stored = StoredRun(
            run=_with_absolute_corpus(plan.run),
            steps=plan.steps,
            tokens_key=shards.directory.name,
        )
        ranks.from_main(lambda: write_run(directory, stored))
        assembly = _assemble(plan, origin, shards, directory, ranks)
        yield from run_to_end(directory, assembly, stop, log, control, profiling=profiling)


def _assemble(
    plan: Plan, origin: "Origin | None", shards: TokenShards, directory: Path, ranks: "Ranks"
) -> "Assembly":
    from tissu_core.runs.train.assemble import assemble_new, assemble_tuned
    from tissu_core.runtime.device import resolve_device

    device = resolve_device(plan.run.machine.device)
    if origin is None:
        return assemble_new(plan.run, plan.model, plan.steps, shards, directory, device, ranks)
    return assemble_tuned(plan.run, plan.steps, origin.loaded, shards, directory, device, ranks)


@contextmanager
def _importing_torch() -> Iterator[None]:
    """Import torch meanwhile: it takes a second or two, and reading text does not need it.

    And what ``use_deterministic_algorithms`` imports, which takes as long again.
    """
    names = ("torch._inductor.config",)
    thread = threading.Thread(target=importlib.import_module, args=names)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _check_shape(run: TrainRun) -> None:
    """Refuse a shape that cannot be before any text is read."""
    asked = asked_size(run.model)
    if asked is not None:
        layers, width = asked
        context = run.model.context_tokens or 256
        resolve_shape(run.model, layers=layers, width=width, context_tokens=context, vocab_size=512)


def _with_tokenizer(run: TrainRun) -> TrainRun:
    """The run with its tokenizer, if it names one, as a path and a hash that a resume can check."""
    if not run.data.tokenizer:
        return run
    data = replace(run.data, tokenizer=str(find_model(run.data.tokenizer).resolve()))
    vocabulary = given_vocabulary(data, run.model.vocab_size)
    assert vocabulary and vocabulary.given
    return replace(run, data=replace(data, tokenizer_sha256=vocabulary.given.sha256))


def _with_absolute_corpus(run: TrainRun) -> TrainRun:
    """A run that can be resumed from any folder."""
    corpus = tuple(str(Path(path).expanduser().resolve()) for path in run.data.corpus)
    data = replace(run.data, corpus=corpus)
    return replace(run, data=data, name="", out="")  # which name this directory, not the next one's


def _run_started(directory: Path) -> RunStarted:
    import torch

    return RunStarted(
        name=directory.name,
        directory=str(directory),
        tissu_version=__version__,
        torch_version=torch.__version__,
    )
