"""The model of a Hugging Face directory, of which is read what is asked for."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from tissu_core.checkpoint.weights import (
    StoredTensor,
    iter_tensors,
    list_tensors,
    read_tensor,
    weight_files,
    widened,
)
from tissu_core.errors import InputError
from tissu_core.events.shared import Noticed
from tissu_core.models.families import family_of
from tissu_core.storage import read_json
from tissu_core.text.tokenizer import Tokenizer

CONFIG_FILE = "config.json"
GENERATION_FILE = "generation_config.json"


@dataclass(frozen=True)
class DirectoryModel:
    """The model of a Hugging Face directory."""

    path: Path

    @cached_property
    def table(self) -> dict[str, Any]:
        """Its ``config.json``."""
        if not (self.path / CONFIG_FILE).is_file():
            raise InputError(f"{self.path} has no {CONFIG_FILE}", hint="tissu models list")
        return read_json(self.path / CONFIG_FILE)

    @cached_property
    def tensors(self) -> dict[str, StoredTensor]:
        """The tensors of its safetensors, from their headers."""
        return list_tensors(self.path)

    def read(self, name: str) -> torch.Tensor:
        """One tensor."""
        return read_tensor(self.tensors[name].file, name)

    def iter_load(self) -> Generator[int, None, dict[str, torch.Tensor]]:
        """All tensors, of one file or of several; yields the bytes of each."""
        tensors = {}
        for file in weight_files(self.path):
            for name, tensor in iter_tensors(file):
                tensors[name] = widened(name, tensor)
                yield self.tensors[name].num_bytes
        return tensors

    def notices(self) -> tuple[Noticed, ...]:
        """What its family tells of its tensors."""
        return family_of(self.table).notices(self.tensors)

    def end_ids(self) -> list[int]:
        """Those that ``config.json`` and ``generation_config.json`` name."""
        return [*self._declared_ends()]

    def load_tokenizer(self) -> Tokenizer:
        """The one beside it."""
        return Tokenizer.load(self.path)

    def _declared_ends(self) -> Iterator[int]:
        for name in (CONFIG_FILE, GENERATION_FILE):
            path = self.path / name
            ends = read_json(path).get("eos_token_id") if path.is_file() else None
            listed = ends if isinstance(ends, list) else [ends]
            yield from (end for end in listed if type(end) is int)
