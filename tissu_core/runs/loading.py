"""A model from disk onto the machine, for every verb that uses one."""

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import torch

from tissu_core.checkpoint.leases import lease
from tissu_core.checkpoint.model_directory import (
    LoadedModel,
    from_hugging_face,
    iter_load_model,
    open_model,
)
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.model import ModelConfig
from tissu_core.decoding.fastest import make_fast
from tissu_core.errors import InputError, IntegrityError
from tissu_core.events.shared import StageAdvanced
from tissu_core.runs.catalog import find_model, name_a_good_one
from tissu_core.runs.home import native_directory
from tissu_core.runtime.device import default_threads, resolve_device
from tissu_core.storage import is_sealed, iter_verify, read_manifest

_TRIES = 3
"""A run prunes what a reader has just begun to read; by then its pointer names another."""


def load_for_use(model: str | None, machine: DeviceConfig) -> tuple[LoadedModel, torch.device]:
    """Load what MODEL names for inference, in fp32.

    Raises:
        TissuError: If the device is not there or the model cannot be read.
    """
    with ExitStack() as leases:
        loading = iter_load(model, machine, leases)
        while True:
            try:
                next(loading)
            except StopIteration as end:
                loaded: LoadedModel = end.value
                return loaded, loaded.model.device


def load_to_decode(model: str | None, machine: DeviceConfig) -> LoadedModel:
    """``load_for_use`` of a model that only reads and writes text.

    Raises:
        TissuError: As ``load_for_use``.
    """
    loaded, _ = load_for_use(model, machine)
    return made_to_decode(loaded)


def made_to_decode(loaded: LoadedModel) -> LoadedModel:
    """The model in the form that this machine decodes fastest; it neither learns nor is saved."""
    return replace(loaded, model=make_fast(loaded.model, native_directory()))


def iter_load(
    model: str | None, machine: DeviceConfig, leases: ExitStack
) -> Generator[StageAdvanced, None, LoadedModel]:
    """``load_for_use``, and how far it is; a run's checkpoint stays until ``leases`` are closed."""
    torch.set_num_threads(machine.threads or default_threads())
    device = resolve_device(machine.device)
    for tries_left in reversed(range(_TRIES)):
        path = find_model(model)
        leases.enter_context(lease(path))
        try:
            if path.is_file() and is_sealed(path.parent):
                files = read_manifest(path.parent)["files"]
                for done, total in iter_verify(path.parent, files, only=(path.name,)):
                    yield StageAdvanced(stage="checking", done=done, total=total, unit="bytes")
            return (yield from iter_load_model(path, device))
        except (IntegrityError, InputError) as error:
            leases.close()
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
