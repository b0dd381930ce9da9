"""The verb train: from a corpus to a model."""

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core import __version__
from tissu_core.config.model import ModelConfig
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import asked_size, resolve_shape
from tissu_core.data.chat_batches import pack
from tissu_core.data.corpus import PreparationStoppedError
from tissu_core.data.prepare import prepare
from tissu_core.data.shards import Spans, TokenShards
from tissu_core.data.sources import check_paths
from tissu_core.data.vocabulary import given_vocabulary
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.shared import Noticed
from tissu_core.events.training import Planned, RunStarted, TrainEvent
from tissu_core.models.count import checkpoint_bytes, num_parameters
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import cache_directory
from tissu_core.runs.plan import MEMORISING_PASSES, Machine, Plan, make_plan
from tissu_core.runs.room import require_room
from tissu_core.runs.run_directory import new_run_directory, refuse_taken, writing
from tissu_core.runs.run_loop import logging_to, run_to_end, set_up_machine
from tissu_core.runs.stored_run import StoredRun, write_run
from tissu_core.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tissu_core.runs.assembly import Assembly
    from tissu_core.runs.origin import Origin


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
    directory = new_run_directory(run)
    check_paths(run.data.corpus)
    origin: Origin | None = None
    if run.tuning.origin:
        from tissu_core.runs.origin import open_origin, settle

        origin = open_origin(run)
        run = settle(run, origin)
    else:
        _check_shape(run)
        run = _with_tokenizer(run)
    try:
        with _importing_torch():
            shards = yield from prepare(
                run.data,
                run.model.vocab_size,
                cache_directory(),
                stop.is_set,
                origin.vocabulary if origin else None,
            )
    except PreparationStoppedError:
        yield Noticed(level="info", text="stopped before the first step; nothing was saved")
        return
    plan, planned = plan_run(run, shards, origin.loaded.model.config if origin else None)
    of_origin = origin.loaded.notices if origin else ()
    notices = [*of_origin, *_warnings(plan, shards)]
    if is_dry_run:
        yield from notices
        yield planned
        return
    require_room(directory, checkpoint_bytes(plan.model), num_saved=0)
    with writing(directory), logging_to(directory) as log:
        refuse_taken(directory)
        yield log(_run_started(directory))
        yield log(planned)
        for notice in notices:
            yield log(notice)
        stored = StoredRun(
            run=_with_absolute_corpus(plan.run),
            steps=plan.steps,
            tokens_key=shards.directory.name,
        )
        write_run(directory, stored)
        assembly = _assemble(plan, origin, shards, directory)
        yield from run_to_end(directory, assembly, stop, log)


def _assemble(
    plan: Plan, origin: "Origin | None", shards: TokenShards, directory: Path
) -> "Assembly":
    from tissu_core.runs.assemble import assemble_new, assemble_tuned
    from tissu_core.runtime.device import resolve_device

    device = resolve_device(plan.run.machine.device)
    if origin is None:
        return assemble_new(plan.run, plan.model, plan.steps, shards, directory, device)
    return assemble_tuned(plan.run, plan.steps, origin.loaded, shards, directory, device)


@contextmanager
def _importing_torch() -> Iterator[None]:
    """Import torch meanwhile: it takes a second or two, and reading text does not need it."""
    thread = threading.Thread(target=importlib.import_module, args=("torch",))
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


def plan_run(
    run: TrainRun, shards: TokenShards, given: ModelConfig | None = None
) -> tuple[Plan, Planned]:
    """Choose what is open, for this machine and these tokens; ``given`` goes on learning."""
    from tissu_core.runs.frozen import num_learning
    from tissu_core.runtime.device import describe_device, resolve_device

    run, machine = _on_this_machine(run)
    train_spans, validation_spans = shards.split(run.data.validation_fraction)
    run, num_tokens = _fit_windows(run, shards, train_spans)
    plan = make_plan(run, machine, num_tokens, shards.facts["vocab_size"], given)
    optimizer = _settled(run.optimizer, plan.model.hidden_size, is_tuning=given is not None)
    assert optimizer.name and optimizer.learning_rate
    plan = replace(
        plan,
        run=replace(
            plan.run,
            optimizer=optimizer,
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
        is_timed=run.training.minutes is not None,
        minutes=run.training.minutes or plan.seconds / 60,
        passes=plan.passes,
        optimizer=optimizer.name,
        learning_rate=optimizer.learning_rate,
        device=describe_device(resolve_device(machine.device)),
        precision=run.machine.precision,
        reasons=plan.reasons,
        learned_tokens=shards.num_learned(train_spans),
        learning_parameters=num_learning(plan.model, run.tuning.freeze),
    )


def _on_this_machine(run: TrainRun) -> tuple[TrainRun, Machine]:
    """The run with its device, precision and threads, which from now on are in use."""
    from tissu_core.runtime.device import default_threads, measure_flops, resolve_device
    from tissu_core.runtime.memory import free_bytes
    from tissu_core.runtime.precision import DTYPES, resolve_precision

    device = resolve_device(run.machine.device)
    precision = resolve_precision(run.machine.precision, device)
    threads = run.machine.threads or default_threads()
    run = replace(
        run,
        machine=replace(run.machine, device=device.type, precision=precision, threads=threads),
    )
    set_up_machine(run)
    machine = Machine(
        device=device.type,
        flops=measure_flops(device, DTYPES[precision]),
        free_bytes=free_bytes(device),
    )
    return run, machine


def _settled(optimizer: OptimizerConfig, width: int, *, is_tuning: bool) -> OptimizerConfig:
    """The optimizer with its name and its numbers filled in."""
    from tissu_core.training.optim import default_learning_rate, default_weight_decay

    name = optimizer.name or ("adamw" if is_tuning else "muon")
    rate, decay = optimizer.learning_rate, optimizer.weight_decay
    return replace(
        optimizer,
        name=name,
        learning_rate=rate or default_learning_rate(name, width, is_tuning=is_tuning),
        weight_decay=default_weight_decay(name) if decay is None else decay,
    )


def _fit_windows(run: TrainRun, shards: TokenShards, spans: Spans) -> tuple[TrainRun, int]:
    """What kind of data is read, and the tokens of a pass.

    Of conversations, windows that hold the longest, and with the tokens their empty rests.

    Raises:
        InputError: If there is one conversation, and none to measure on.
    """
    if shards.targets is None:
        return replace(run, data=replace(run.data, format="text")), spans.num_tokens
    if not len(spans.lengths):
        raise InputError(
            "there is one conversation, and another is needed to measure on",
            hint="name more conversations",
        )
    longest = int(shards.documents.lengths.max()) - 1
    context = run.model.context_tokens or max(8, 1 << (longest - 1).bit_length())
    context = min(context, run.data.conversation_tokens or context)
    model, data = replace(run.model, context_tokens=context), replace(run.data, format="chats")
    return replace(run, model=model, data=data), len(pack(spans.lengths, context + 1)) * context + 1


def _warnings(plan: Plan, shards: TokenShards) -> Iterator[Noticed]:
    tokenizer = Tokenizer.load(shards.directory)
    if not tokenizer.is_exact:
        yield Noticed(
            level="info",
            text="this tokenizer does not keep every text as it is: the bits per byte of this run "
            "count the bytes of its tokens; tissu eval ppl counts those of the text",
        )
    if not tokenizer.is_exportable:
        yield Noticed(
            level="info",
            text="transformers reads this tokenizer; programs with tokenizers of their own, such "
            "as llama.cpp, do not",
        )
    if plan.passes > MEMORISING_PASSES:
        yield Noticed(
            level="warning",
            text=f"the text will be seen {plan.passes:.1f} times: beyond "
            f"{MEMORISING_PASSES:g} a model memorises more than it learns; more text, fewer "
            "--epochs or --patience 3 help",
        )
    from tissu_core.models.families import TISSU, family_for
    from tissu_core.runs.frozen import frozen_notices

    yield from frozen_notices(plan.model, plan.run.tuning.freeze)
    if family_for(plan.model) is TISSU:
        yield Noticed(
            level="warning",
            text="no other program computes this architecture; the model is saved as model_type "
            '"tissu", which only tissu reads',
        )


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
