"""The verb train: from a corpus to a model, or on from where a run stopped."""

import importlib
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core import STARTED, __version__
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.config.load import build_config, read_toml, to_toml
from tissu_core.config.model import ModelConfig, resolve_shape
from tissu_core.config.runs import TrainRun
from tissu_core.data.prepare import PreparationStoppedError, prepare, read_corpus, shards_directory
from tissu_core.data.shards import TokenShards
from tissu_core.errors import ConfigError, InputError, IntegrityError
from tissu_core.events import (
    Noticed,
    Planned,
    RunFinished,
    RunResumed,
    RunStarted,
    TrainEvent,
)
from tissu_core.models.count import num_parameters
from tissu_core.runs.home import cache_directory
from tissu_core.runs.plan import MEMORISING_PASSES, Machine, Plan, make_plan
from tissu_core.runs.run_directory import (
    CHECKPOINTS,
    CONFIG_FILE,
    MODEL,
    find_run,
    new_run_directory,
    writing,
)
from tissu_core.storage import is_sealed, read_manifest, sealed_directory, write_text
from tissu_core.tracking.event_log import EventLog

if TYPE_CHECKING:
    from tissu_core.runs.assemble import Assembly
    from tissu_core.training.trainer import Trainer

STEPS_FIELD = "planned_steps"
DATA_FIELD = "tokens_key"


def train(
    run: TrainRun, stop: threading.Event, *, is_dry_run: bool = False
) -> Iterator[TrainEvent]:
    """Train a new model on a corpus.

    Setting ``stop`` ends the run at a step boundary, saved. A dry run ends after the plan.

    Raises:
        TissuError: Before anything is written if the settings or the corpus cannot be used.
    """
    if not run.data.corpus:
        raise ConfigError("no corpus was named", field="corpus", hint="tissu train FOLDER")
    directory = new_run_directory(run.name, run.out, run.data.corpus)
    threading.Thread(target=importlib.import_module, args=("torch",), daemon=True).start()
    try:
        shards = yield from prepare(run.data, run.model.vocab_size, cache_directory(), stop.is_set)
    except PreparationStoppedError:
        yield Noticed(level="info", text="stopped before the first step; nothing was saved")
        return
    plan, planned = _plan(run, shards)
    if is_dry_run:
        yield planned
        return
    from tissu_core.runs.assemble import assemble_new
    from tissu_core.runtime.device import resolve_device

    with writing(directory), _logging(directory) as log:
        yield log(_run_started(directory))
        yield log(planned)
        for notice in _warnings(plan):
            yield log(notice)
        _write_config(directory, plan, shards)
        assembly = assemble_new(
            plan.run,
            plan.model,
            plan.steps,
            shards,
            directory,
            resolve_device(plan.run.machine.device),
        )
        yield from _train(directory, assembly, stop, log)


def resume(
    given: str, stop: threading.Event, *, is_fallback_allowed: bool = False
) -> Iterator[TrainEvent]:
    """Go on with a run, by name or path or "last", from its newest verified checkpoint.

    Raises:
        IntegrityError: If that checkpoint is damaged, or the corpus is not what it was.
        BusyError: If the run is being written.
    """
    directory = find_run(given)
    with writing(directory), _logging(directory) as log:
        run, steps, key = _read_config(directory)
        store = CheckpointStore(directory / CHECKPOINTS, run.training.keep)
        checkpoint = None
        if store.steps():
            checkpoint = store.newest_verified(is_fallback_allowed=is_fallback_allowed)
        try:
            shards = yield from _find_shards(run, key, stop)
        except PreparationStoppedError:
            return
        yield from _resume_at(directory, run, steps, shards, checkpoint, stop, log)


def _resume_at(
    directory: Path,
    run: TrainRun,
    steps: int,
    shards: TokenShards,
    checkpoint: Path | None,
    stop: threading.Event,
    log: "Log",
) -> Iterator[TrainEvent]:
    from tissu_core.runs.assemble import assemble_new, assemble_saved
    from tissu_core.runtime.device import resolve_device

    _set_up(run)
    device = resolve_device(run.machine.device)
    if checkpoint is None:
        yield log(Noticed(level="warning", text="nothing was saved yet; the run begins at step 0"))
        config = _model_config(run, shards)
        assembly = assemble_new(run, config, steps, shards, directory, device)
    else:
        assembly = assemble_saved(run, steps, shards, directory, checkpoint, device)
    step = assembly.state.step
    yield log(RunResumed(name=directory.name, directory=str(directory), from_step=step))
    yield from _train(directory, assembly, stop, log, assembly.state.elapsed_seconds)


Log = Callable[[TrainEvent], TrainEvent]


class _logging:
    """Writes events down as they pass."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> Log:
        self._log = EventLog(self._directory)
        return self._pass_on

    def __exit__(self, *exc: object) -> None:
        self._log.close()

    def _pass_on(self, event: TrainEvent) -> TrainEvent:
        self._log.append(event)
        return event


def _train(
    directory: Path,
    assembly: "Assembly",
    stop: threading.Event,
    log: Log,
    elapsed_before: float = 0.0,
) -> Iterator[TrainEvent]:
    began = STARTED if not elapsed_before else time.monotonic()
    trainer = assembly.trainer(lambda: elapsed_before + time.monotonic() - began)
    for event in trainer.run(stop.is_set):
        yield log(event)
    yield log(_finish(directory, assembly, trainer))


def _finish(directory: Path, assembly: "Assembly", trainer: "Trainer") -> RunFinished:
    """Write the run's model, the best of its checkpoints; a stopped run keeps its checkpoints."""
    state, store = trainer.state, assembly.store
    is_stopped = trainer.end_reason == "stopped"
    model_path = store.path_of(state.step)
    if not is_stopped:
        best = store.path_of(state.best_step or state.step)
        model_path = directory / MODEL
        facts = {**read_manifest(best), "kind": "model", "bits_per_byte": state.best_bits_per_byte}
        with sealed_directory(model_path, facts) as temporary:
            for name in ("config.json", "generation_config.json", "model.safetensors"):
                shutil.copyfile(best / name, temporary / name)
            for path in best.glob("tokenizer*"):
                shutil.copyfile(path, temporary / path.name)
    return RunFinished(
        name=directory.name,
        directory=str(directory),
        model_path=str(model_path),
        step=state.step,
        stopped_early=is_stopped,
        reason=trainer.end_reason,
        elapsed_seconds=trainer.parts.clock(),
        loss=state.loss,
        bits_per_byte=state.best_bits_per_byte,
    )


def _plan(run: TrainRun, shards: TokenShards) -> tuple[Plan, Planned]:
    """Choose what is open, for this machine and these tokens."""
    from tissu_core.runtime.device import (
        default_threads,
        describe_device,
        measure_flops,
        resolve_device,
    )
    from tissu_core.runtime.memory import free_bytes
    from tissu_core.runtime.precision import DTYPES, resolve_precision
    from tissu_core.training.optim import default_learning_rate

    device = resolve_device(run.machine.device)
    precision = resolve_precision(run.machine.precision, device)
    threads = run.machine.threads or default_threads()
    run = replace(
        run,
        machine=replace(run.machine, device=device.type, precision=precision, threads=threads),
    )
    _set_up(run)
    machine = Machine(
        device=device.type,
        flops=measure_flops(device, DTYPES[precision]),
        free_bytes=free_bytes(device),
    )
    train_spans, validation_spans = shards.split(run.data.validation_fraction)
    plan = make_plan(run, machine, train_spans.num_tokens, shards.facts["vocab_size"])
    rate = run.optimizer.learning_rate or default_learning_rate(
        run.optimizer.name, plan.model.hidden_size
    )
    plan = replace(
        plan,
        run=replace(
            plan.run,
            optimizer=replace(run.optimizer, learning_rate=rate),
            # What was asked of the tokenizer, which a small text may not fill: it is in the key.
            model=replace(plan.run.model, vocab_size=shards.facts["asked_vocab_size"]),
        ),
    )
    return plan, Planned(
        model=f"{plan.model.num_hidden_layers} layers x {plan.model.hidden_size}",
        num_parameters=num_parameters(plan.model),
        vocab_size=plan.model.vocab_size,
        context_tokens=plan.model.max_position_embeddings,
        train_tokens=train_spans.num_tokens,
        validation_tokens=validation_spans.num_tokens,
        batch_tokens=plan.run.training.batch_tokens or 0,
        steps=plan.steps,
        minutes=run.training.minutes or plan.seconds / 60,
        passes=plan.passes,
        optimizer=run.optimizer.name,
        learning_rate=rate,
        device=describe_device(device),
        precision=precision,
        threads=threads,
        reasons=plan.reasons,
    )


def _warnings(plan: Plan) -> Iterator[Noticed]:
    if plan.passes > MEMORISING_PASSES:
        yield Noticed(
            level="warning",
            text=f"the text will be seen {plan.passes:.1f} times: beyond "
            f"{MEMORISING_PASSES:g} a model memorises more than it learns; more text, fewer "
            "--epochs or --patience 3 help",
        )


def _set_up(run: TrainRun) -> None:
    from tissu_core.runtime.device import resolve_device, use_deterministic_cpu

    assert run.machine.threads
    use_deterministic_cpu(resolve_device(run.machine.device), run.machine.threads)


def _model_config(run: TrainRun, shards: TokenShards) -> ModelConfig:
    assert run.model.num_hidden_layers and run.model.hidden_size and run.model.context_tokens
    return resolve_shape(
        run.model,
        layers=run.model.num_hidden_layers,
        width=run.model.hidden_size,
        context_tokens=run.model.context_tokens,
        vocab_size=shards.facts["vocab_size"],
    )


def _run_started(directory: Path) -> RunStarted:
    import torch

    return RunStarted(
        name=directory.name,
        directory=str(directory),
        tissu_version=__version__,
        torch_version=torch.__version__,
    )


def _write_config(directory: Path, plan: Plan, shards: TokenShards) -> None:
    facts = f"{STEPS_FIELD} = {plan.steps}\n{DATA_FIELD} = '{shards.directory.name}'\n"
    corpus = tuple(str(Path(path).expanduser().resolve()) for path in plan.run.data.corpus)
    run = replace(plan.run, data=replace(plan.run.data, corpus=corpus))
    write_text(directory / CONFIG_FILE, facts + to_toml(run))


def _read_config(directory: Path) -> tuple[TrainRun, int, str]:
    table = read_toml(directory / CONFIG_FILE)
    try:
        steps, key = int(table.pop(STEPS_FIELD)), str(table.pop(DATA_FIELD))
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{directory / CONFIG_FILE} lacks {error}", hint="start a new run"
        ) from error
    return build_config(TrainRun, table), steps, key


def _find_shards(
    run: TrainRun, key: str, stop: threading.Event
) -> Generator[TrainEvent, None, TokenShards]:
    """The tokens a run began with: they are what bit-equal resume rests on."""
    cached = cache_directory() / "tokens" / key
    gone = [path for path in run.data.corpus if not Path(path).exists()]
    if gone:
        if is_sealed(cached):
            yield Noticed(
                level="warning",
                text=f"{gone[0]} is gone; training goes on from the tokens made of it",
            )
            return TokenShards(cached)
        raise IntegrityError(
            f"the corpus {gone[0]} is gone, and so are the tokens made of it",
            safe="every checkpoint: tissu chat works",
            hint="put the corpus back, then the same command",
        )
    files = yield from read_corpus(run.data, cache_directory(), stop.is_set)
    vocab_size = run.model.vocab_size
    assert vocab_size
    if shards_directory(cache_directory(), files, vocab_size).name != key:
        raise IntegrityError(
            f"the text in {', '.join(run.data.corpus)} is not what this run began with",
            safe="every checkpoint: tissu chat works",
            hint="put the corpus back as it was, or start a new run",
        )
    return (yield from prepare(run.data, vocab_size, cache_directory(), stop.is_set))
