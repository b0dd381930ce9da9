"""A model from disk onto the machine, for every verb that uses one."""

from pathlib import Path

import torch

from tissu_core.checkpoint.model_directory import LoadedModel, load_model
from tissu_core.config.training import DeviceConfig
from tissu_core.errors import IntegrityError
from tissu_core.runs.catalog import name_a_good_one
from tissu_core.runtime.device import default_threads, resolve_device


def load_for_use(path: Path, machine: DeviceConfig) -> tuple[LoadedModel, torch.device]:
    """Load a model directory for inference, in fp32.

    Raises:
        TissuError: If the device is not there or the model cannot be read.
    """
    torch.set_num_threads(machine.threads or default_threads())
    device = resolve_device(machine.device)
    try:
        return load_model(path, device), device
    except IntegrityError as error:
        raise name_a_good_one(path, error) from error
