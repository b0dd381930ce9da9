"""What may be another on resume, and what may not."""

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from pathlib import Path

from tissu_core.config.fields import iter_settings
from tissu_core.config.model import ModelConfig
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import ModelShape, resolve_shape
from tissu_core.errors import ConfigError
from tissu_core.runs.run_directory import RUN_FILE
from tissu_core.runs.train.inherited_shape import compare_shape

Settle = Callable[[TrainRun], TrainRun]
"""A run's stored settings to those that a person wants now."""

_TURNABLE = (
    "objective.",
    "optimizer.",
    "training.",
    "machine.",
    "model.dropout",
    "model.attention_dropout",
)
_ASKED_AS = {"max_position_embeddings": "context_tokens"}
_FIXED = ("optimizer.name", "training.seed")


def override(stored: TrainRun, settle: Settle, *, is_allowed: bool) -> tuple[TrainRun, list[str]]:
    """The settings to go on with, and a line for each that differs from the stored ones.

    Raises:
        ConfigError: If one differs and that is not allowed, or belongs to what was learned.
    """
    wanted = settle(stored)
    changes: list[str] = []
    for path, _, _ in iter_settings(TrainRun):
        before, after = attrgetter(path)(stored), attrgetter(path)(wanted)
        if before == after:
            continue
        if path in _FIXED or not path.startswith(_TURNABLE):
            raise ConfigError(
                f"{path} is {before!r} in this run and cannot become {after!r}: weights, moments "
                "and data order rest on it",
                field=path,
                hint="start a new run with it",
            )
        changes.append(f"{path} {_shown(before)} -> {_shown(after)}")
    if changes and not is_allowed:
        raise ConfigError(
            f"--resume goes on with a run as it began, and these differ: {', '.join(changes)}",
            field="resume",
            hint="the same command with --override, or without these settings",
        )
    return wanted, changes


def refuse_other_shape(run: TrainRun, directory: Path, checkpoint: Path) -> None:
    """Refuse a checkpoint whose model is not the one the settings describe.

    Raises:
        ConfigError: Naming every field that differs, with both values.
    """
    from tissu_core.runs.loading import read_model_config

    saved = read_model_config(checkpoint)
    if run.tuning.origin:
        pairs = compare_shape(run.model, saved)
    else:
        wanted = shape_of(run.model, saved.vocab_size)
        pairs = {
            spec.name: (getattr(wanted, spec.name), getattr(saved, spec.name))
            for spec in fields(ModelConfig)
        }
    differing = [
        f"{_ASKED_AS.get(name, name)} {asked} / {found}"
        for name, (asked, found) in pairs.items()
        if asked != found
    ]
    if differing:
        raise ConfigError(
            f"{directory / RUN_FILE} and {checkpoint.name} are of different models "
            f"({RUN_FILE} / checkpoint): {', '.join(differing)}",
            field="model",
            hint=f"mend [model] in {directory / RUN_FILE}, or start a new run",
        )


def shape_of(shape: ModelShape, vocab_size: int) -> ModelConfig:
    """The architecture of a stored shape, in which every number is filled in."""
    assert shape.num_hidden_layers and shape.hidden_size and shape.context_tokens
    return resolve_shape(
        shape,
        layers=shape.num_hidden_layers,
        width=shape.hidden_size,
        context_tokens=shape.context_tokens,
        vocab_size=vocab_size,
    )


def _shown(value: object) -> object:
    return "unset" if value is None else value
