"""A model from disk onto the machine, for every verb that uses one."""

from pathlib import Path

import torch

from tissu_core.checkpoint.model_directory import (
    LoadedModel,
    from_hugging_face,
    load_model,
    open_model,
)
from tissu_core.config.model import ModelConfig
from tissu_core.config.training import DeviceConfig
from tissu_core.errors import InputError, IntegrityError
from tissu_core.runs.catalog import find_model, name_a_good_one
from tissu_core.runtime.device import default_threads, resolve_device
from tissu_core.storage import is_sealed, verify

_TRIES = 3
"""A run prunes what a reader has just begun to read; by then its pointer names another."""


def load_for_use(model: str | None, machine: DeviceConfig) -> tuple[LoadedModel, torch.device]:
    """Load what MODEL names for inference, in fp32.

    Raises:
        TissuError: If the device is not there or the model cannot be read.
    """
    torch.set_num_threads(machine.threads or default_threads())
    device = resolve_device(machine.device)
    for tries_left in reversed(range(_TRIES)):
        path = find_model(model)
        try:
            if path.is_file() and is_sealed(path.parent):
                verify(path.parent, only=(path.name,))
            return load_model(path, device), device
        except (IntegrityError, InputError) as error:
            if tries_left and find_model(model) != path:
                continue
            if isinstance(error, IntegrityError):
                raise name_a_good_one(path, error) from error
            raise
    raise AssertionError("the last try returns or raises")


def read_model_config(path: Path) -> ModelConfig:
    """The architecture of a model; no weights are read.

    Raises:
        InputError: If it is none, or of a kind tissu does not read.
    """
    return from_hugging_face(open_model(path).table, path)
