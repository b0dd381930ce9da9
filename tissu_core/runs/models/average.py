"""The verb average: one model in the middle of several."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core import __version__
from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError
from tissu_core.events.shared import StageAdvanced
from tissu_core.runs.catalog import find_model
from tissu_core.runs.home import models_directory
from tissu_core.runs.new_directory import new_model_directory
from tissu_core.storage import is_sealed, sealed_directory, sha256_file, verify
from tissu_core.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

_COPIED = ("config.json", "generation_config.json", "tokenizer*", "chat_template.jinja")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAveraged:
    """A new model in the store, and the models it is the mean of."""

    name: str
    path: str
    is_stored: bool
    """Whether its name is enough, wherever one is."""
    sources: tuple[str, ...]


def average_models(models: Sequence[str], out: str = "") -> Iterator[StageAdvanced | ModelAveraged]:
    """Save the arithmetic mean of models, sealed, with where it comes from; the last event says it.

    Each of ``models`` is what ``find_model`` reads. ``out`` is a name in the store or a directory;
    without it, the first one's name with ``-average`` behind it.

    Raises:
        InputError: If a model is not there.
        ConfigError: If there are less than two, they differ in architecture or tokenizer, or the
            place is taken.
        IntegrityError: If a sealed model is damaged.
    """
    if len(models) < 2:
        raise ConfigError(
            "a mean is of two models or more",
            field="models",
            hint=f"tissu models average {' '.join(models)} ANOTHER",
        )
    paths = [find_model(model) for model in models]
    target = new_model_directory(out, paths[0], "average")
    for path in paths:
        if is_sealed(path):
            verify(path)
    _check_alike(models, paths)
    from tissu_core.checkpoint.average import iter_average
    from tissu_core.checkpoint.weights import WEIGHTS_FILE, save_tensors

    with sealed_directory(target, _facts(paths)) as temporary:
        for pattern in _COPIED:
            for file in paths[0].glob(pattern):
                shutil.copyfile(file, temporary / file.name)
        tensors: dict[str, Tensor] = {}
        for name, mean, total in iter_average(paths):
            tensors[name] = mean
            yield StageAdvanced(stage="averaging", done=len(tensors), total=total, unit="tensors")
        save_tensors(temporary / WEIGHTS_FILE, tensors)
    yield ModelAveraged(
        name=target.name,
        path=str(target),
        is_stored=target.parent == models_directory(),
        sources=tuple(map(str, paths)),
    )


def _check_alike(models: Sequence[str], paths: Sequence[Path]) -> None:
    from tissu_core.runs.loading import read_model_config

    configs = [read_model_config(path) for path in paths]
    tokenizers = [Tokenizer.load(path).backend.to_str() for path in paths]
    for model, config, tokenizer in zip(models, configs, tokenizers, strict=True):
        for field in fields(ModelConfig):
            ours, theirs = getattr(config, field.name), getattr(configs[0], field.name)
            if ours != theirs:
                raise _differs(models[0], model, field.name, f": {theirs} and {ours}")
        if tokenizer != tokenizers[0]:
            raise _differs(models[0], model, "tokenizer")


def _differs(first: str, other: str, field: str, values: str = "") -> ConfigError:
    return ConfigError(
        f"{first} and {other} differ in {field}{values}",
        field=field,
        hint="name checkpoints of one run, or models that began as one",
    )


def _facts(paths: Sequence[Path]) -> dict[str, object]:
    from tissu_core.checkpoint.weights import weight_files

    lineage = [
        {
            "path": str(path),
            "sha256": {file.name: sha256_file(file) for file in weight_files(path)},
        }
        for path in paths
    ]
    return {"tissu": __version__, "kind": "model", "method": "average", "lineage": lineage}
