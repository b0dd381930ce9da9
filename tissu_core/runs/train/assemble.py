"""How the parts of a training run are made, new or as a checkpoint holds them."""

from dataclasses import replace
from pathlib import Path

import torch

from tissu_core.checkpoint.model_directory import LoadedModel, load_model
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.checkpoint.training_state import (
    TrainState,
    read_raw_weights,
    read_training_state,
)
from tissu_core.config.model import ModelConfig
from tissu_core.config.runs import TrainRun
from tissu_core.data.shards import TokenShards
from tissu_core.errors import ConfigError, IntegrityError
from tissu_core.models.attention_choice import check_attention
from tissu_core.models.build import build_model
from tissu_core.models.float8 import use_float8_products
from tissu_core.parallel.layouts import build_layout
from tissu_core.parallel.parts import check_parts
from tissu_core.parallel.ranks import ALONE, Ranks
from tissu_core.runs.train.assembly import Assembly
from tissu_core.runs.train.frozen import freeze_matching
from tissu_core.runs.train.stored_run import DataSeam
from tissu_core.text.conversation import with_chat_template
from tissu_core.text.tokenizer import Tokenizer
from tissu_core.training.ema import WeightAverage
from tissu_core.training.optim import build_optimizer


def assemble_new(
    run: TrainRun,
    config: ModelConfig,
    steps: int,
    shards: TokenShards,
    directory: Path,
    device: torch.device,
    ranks: Ranks = ALONE,
) -> Assembly:
    """A run at step 0 with fresh weights."""
    model = build_model(
        config,
        device=device,
        seed=run.training.seed,
        init=run.model.init,
    )
    model.set_dropout(run.model.dropout or 0.0, run.model.attention_dropout)
    tokenizer = Tokenizer.load(shards.directory)
    loaded = LoadedModel(model, tokenizer, directory, tokenizer.end_ids)
    return _assembly(run, steps, loaded, shards, directory, TrainState(), ranks)


def assemble_tuned(
    run: TrainRun,
    steps: int,
    loaded: LoadedModel,
    shards: TokenShards,
    directory: Path,
    device: torch.device,
    ranks: Ranks = ALONE,
) -> Assembly:
    """A run at step 0 with the weights of a model that has learned before."""
    tokenizer = loaded.tokenizer
    if shards.targets is not None:
        tokenizer = with_chat_template(tokenizer)
    loaded = replace(
        loaded,
        model=loaded.model.to(device),
        tokenizer=tokenizer,
        end_ids=loaded.end_ids | tokenizer.end_ids,
    )
    loaded.model.set_dropout(run.model.dropout or 0.0, run.model.attention_dropout)
    return _assembly(run, steps, loaded, shards, directory, TrainState(), ranks)


def assemble_saved(
    run: TrainRun,
    steps: int,
    shards: TokenShards,
    directory: Path,
    checkpoint: Path,
    device: torch.device,
    *,
    seam: DataSeam | None = None,
    ranks: Ranks = ALONE,
) -> Assembly:
    """A run as a verified checkpoint holds it."""
    loaded = load_model(checkpoint, device)
    check_attention(loaded.model.config, run, device)
    loaded.model.set_dropout(run.model.dropout or 0.0, run.model.attention_dropout)
    _check_tokenizer(loaded.tokenizer, shards, checkpoint)
    state, moments = read_training_state(checkpoint)
    assembly = _assembly(run, steps, loaded, shards, directory, state, ranks)
    try:
        assembly.optimizer.load_state_tensors(assembly.layout.scattered(moments))
    except KeyError as error:
        raise ConfigError(
            f"{checkpoint.name} has no {error}, which the optimizer {run.optimizer.name} needs",
            field="optimizer.name",
            hint="put back the optimizer's name in config.toml, or start a new run",
        ) from error
    if raw := read_raw_weights(checkpoint):
        assembly.layout.load_weights(raw)
    assembly.seam = seam or DataSeam()
    best = assembly.store.best_score()
    if best is not None and best[0] <= state.step:
        state.best_step, state.best_bits_per_byte = best
    elif state.best_step not in assembly.store.steps():
        state.best_step = 0
    if state.best_step <= assembly.seam.text_from_step:
        state.best_step, state.best_bits_per_byte, state.evals_since_best = 0, float("inf"), 0
    return assembly


def _check_tokenizer(tokenizer: Tokenizer, shards: TokenShards, checkpoint: Path) -> None:
    found, expected = tokenizer.sha256, Tokenizer.load(shards.directory).sha256
    if found != expected:
        raise IntegrityError(
            f"the tokenizer in {checkpoint} is not the one of the tokens in {shards.directory}: "
            f"SHA-256 is {found[:12]}, not {expected[:12]}",
            safe="every checkpoint: tissu chat works",
            hint=f"a new run with --tokenizer {checkpoint}",
        )


def _assembly(
    run: TrainRun,
    steps: int,
    loaded: LoadedModel,
    shards: TokenShards,
    directory: Path,
    state: TrainState,
    ranks: Ranks,
) -> Assembly:
    model, optimizing = loaded.model, run.optimizer
    assert optimizing.name and optimizing.learning_rate is not None
    assert optimizing.weight_decay is not None
    freeze_matching(model, run.tuning.freeze)
    machine = run.machine
    if ranks.are_many:
        check_parts(model.config, machine, ranks.world_size)
    model.set_recompute(machine.checkpoint_activations)
    model.set_noise(run.objective.embed_noise, run.objective.neftune)
    if run.objective.document_mask:
        model.read_documents_apart(loaded.tokenizer.start_id)
    model.set_attention(machine.attn_impl)
    if machine.precision == "fp8":
        use_float8_products(model)
    layout = build_layout(
        model,
        ranks,
        shard=machine.shard,
        bucket_mb=machine.bucket_mb,
        tp=machine.tp,
        pp=machine.pp,
        precision=machine.precision,
    )
    optimizer = build_optimizer(
        model,
        name=optimizing.name,
        learning_rate=optimizing.learning_rate,
        weight_decay=optimizing.weight_decay,
        width=model.config.hidden_size,
        named=layout.owned(),
    )
    decay = optimizing.ema_decay
    return Assembly(
        average=WeightAverage(layout.parameters(), decay) if decay else None,
        run=run,
        steps=steps,
        model=model,
        tokenizer=loaded.tokenizer,
        optimizer=optimizer,
        shards=shards,
        store=CheckpointStore(directory / "checkpoints", run.training.keep),
        state=state,
        device=model.device,
        end_ids=loaded.end_ids,
        layout=layout,
        family=loaded.family,
    )
