"""Tensors of models that verbs of inspect read."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.checkpoint.leases import lease
from tissu_core.errors import ConfigError

if TYPE_CHECKING:
    from tissu_core.interpret.tensors.reading import TensorReader


def refuse_same(one: Path, other: Path, field: str) -> None:
    """Refuse to compare a model with itself.

    Raises:
        ConfigError: If both are in one place.
    """
    if one.resolve() == other.resolve():
        raise ConfigError(
            f"both models are {one}; there is nothing to compare",
            field=field.lstrip("-"),
            hint="name another one: RUN:STEP is a checkpoint, tissu models list shows models",
        )


def open_reader(path: Path, leases: ExitStack) -> "TensorReader":
    """A model's tensors; a run's checkpoint stays until ``leases`` are closed.

    Raises:
        InputError: If it is none, or damaged.
    """
    from tissu_core.checkpoint.model_directory import open_model
    from tissu_core.interpret.tensors.reading import TensorReader

    leases.enter_context(lease(path))
    return TensorReader(open_model(path))
