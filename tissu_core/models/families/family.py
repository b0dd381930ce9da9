"""What a family of models is: how its files spell a shape and the weights."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tissu_core.config.model import ModelConfig
from tissu_core.errors import ConfigError

Table = Mapping[str, Any]
Tensors = dict[str, Tensor]
_QKV = ("q_proj", "k_proj", "v_proj")
_FUSED = re.compile(rf"(.*)\.({'|'.join(_QKV)})\.(weight|bias)")


class UnreadableConfigError(Exception):
    """A ``config.json`` is of another family, lacks a field or uses what would be ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One ``model_type`` of Hugging Face."""

    model_type: str
    architecture: str
    to_table: Callable[[ModelConfig], dict[str, Any]]
    """``config.json`` beyond what all families share; of any shape, expressed or not."""
    from_table: Callable[[Table], ModelConfig]
    """Raises UnreadableConfigError."""
    names: tuple[tuple[str, str], ...] = ()
    """(tissu's, theirs): parts of tensor names, which replace each other in this order."""
    fused: str = ""
    """Their name for queries, keys and values as one matrix; "" where there are three."""
    is_transposed: bool = False
    """Whether matrices of blocks are (inputs, outputs)."""

    def expresses(self, config: ModelConfig) -> bool:
        """Whether a shape comes back from the family's ``config.json`` as it went in."""
        try:
            return self.from_table(self.to_table(config)) == config
        except (UnreadableConfigError, ConfigError):
            return False

    def to_file(self, tensors: Tensors) -> Tensors:
        """Tissu's tensors under the family's names and layouts."""
        if self.fused:
            tensors = self._fuse(tensors)
        return {
            self._rename(name, backwards=False): self._turned(name, tensor)
            for name, tensor in tensors.items()
        }

    def from_file(self, tensors: Tensors, config: ModelConfig) -> Tensors:
        """The family's tensors under tissu's names and layouts."""
        renamed = {self._rename(name, backwards=True): t for name, t in tensors.items()}
        renamed = {name: self._turned(name, tensor) for name, tensor in renamed.items()}
        parts = self._split(renamed, config) if self.fused else renamed
        # Fused Adam on a CPU walks over a parameter's memory as if it were contiguous.
        return {name: tensor.contiguous() for name, tensor in parts.items()}

    def _rename(self, name: str, *, backwards: bool) -> str:
        for ours, theirs in self.names:
            name = name.replace(theirs, ours) if backwards else name.replace(ours, theirs)
        return name

    def _turned(self, name: str, tensor: Tensor) -> Tensor:
        is_inner = ".layers." in name and tensor.ndim == 2
        return tensor.T if self.is_transposed and is_inner else tensor

    def _fuse(self, tensors: Tensors) -> Tensors:
        fused: Tensors = {}
        for name, tensor in tensors.items():
            match = _FUSED.fullmatch(name)
            if match is None:
                fused[name] = tensor
            elif match[2] == "q_proj":
                parts = [tensors[f"{match[1]}.{part}.{match[3]}"] for part in _QKV]
                fused[f"{match[1]}.{self.fused}.{match[3]}"] = torch.cat(parts)
        return fused

    def _split(self, tensors: Tensors, config: ModelConfig) -> Tensors:
        heads = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.num_key_value_heads,
        )
        rows = [count * config.head_dim for count in heads]
        split: Tensors = {}
        for name, tensor in tensors.items():
            if f".{self.fused}." not in name or tensor.shape[0] != sum(rows):
                split[name] = tensor
                continue
            for part, piece in zip(_QKV, torch.split(tensor, rows), strict=True):
                split[name.replace(self.fused, part)] = piece
        return split


def need_counts(table: Table, *names: str) -> list[int]:
    """Whole numbers from 1 that a ``config.json`` must have.

    Raises:
        UnreadableConfigError: Naming the first that it has not.
    """
    for name in names:
        if name not in table:
            raise UnreadableConfigError(f"lacks {name}")
        if type(table[name]) is not int or table[name] < 1:
            raise UnreadableConfigError(f"has {name} {table[name]!r}, and it is a count")
    return [table[name] for name in names]


def refuse(table: Table, **expected: Any) -> None:
    """Refuse values that would change the result and are not computed here.

    ``expected`` gives each field's only value, which is also what a missing one means.

    Raises:
        UnreadableConfigError: Naming the field.
    """
    for name, value in expected.items():
        found = table.get(name, value)
        if found is not None and found != value:
            raise UnreadableConfigError(
                f"has {name} {found!r}, which this version does not compute"
            )
