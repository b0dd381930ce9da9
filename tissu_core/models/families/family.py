"""What a family of models is: how its files spell a shape and the weights."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tissu_core.config.model import ModelConfig, most_of
from tissu_core.errors import ConfigError
from tissu_core.events.shared import Noticed
from tissu_core.layers.packed import is_packed

Table = Mapping[str, Any]
Tensors = dict[str, Tensor]
QKV = ("q_proj", "k_proj", "v_proj")


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
    """(tissu's, theirs): parts of tensor names; of those at one place the first counts."""
    fused: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Their name for matrices stored as one, and tissu's for each of them."""
    is_transposed: bool = False
    """Whether matrices of blocks are (inputs, outputs)."""
    prefix: str = ""
    """What names begin with, except in some published files."""
    ignored: tuple[str, ...] = (".rotary_emb.inv_freq",)
    """Ends of names whose tensors follow from the configuration."""
    unread: tuple[str, ...] = ()
    """Beginnings of names whose tensors belong to what is not computed here."""
    norms_less_one: bool = False
    """Whether the weights of norms are stored as what is added to 1."""
    written: "Family | None" = None
    """The family that what is read of it is written in, if another."""

    def expresses(self, config: ModelConfig) -> bool:
        """Whether a shape comes back from the family's ``config.json`` as it went in."""
        try:
            return self.from_table(self.to_table(config)) == config
        except (UnreadableConfigError, ConfigError):
            return False

    def to_file(self, tensors: Tensors) -> Tensors:
        """Tissu's tensors under the family's names and layouts."""
        fused = dict(tensors)
        for theirs, parts in self.fused:
            for name in tensors:
                if f".{parts[0]}." in name:
                    names = [name.replace(parts[0], part) for part in parts]
                    fused[name.replace(parts[0], theirs)] = torch.cat([fused.pop(n) for n in names])
        return {
            self._rename(name, backwards=False): self._converted(name, tensor, backwards=False)
            for name, tensor in fused.items()
        }

    def from_file(self, tensors: Tensors, config: ModelConfig) -> Tensors:
        """The family's tensors under tissu's names and layouts, as views of the same memory."""
        found: Tensors = {}
        for stored, tensor in tensors.items():
            if stored.endswith(self.ignored) or stored.startswith(self.unread):
                continue
            is_whole = stored.startswith((self.prefix, "lm_head."))
            name = self._rename(stored if is_whole else self.prefix + stored, backwards=True)
            found |= self._split(name, self._converted(name, tensor, backwards=True), config)
        return found

    def notices(self, names: Iterable[str]) -> tuple[Noticed, ...]:
        """What a person should know whose file has tensors of these names."""
        stored = tuple(names)
        parts = [part for part in self.unread if any(name.startswith(part) for name in stored)]
        found = " and ".join(part.rstrip(".") for part in parts)
        text = f"only the text part of this model is read, not {found}"
        return (Noticed(level="info", text=text),) if found else ()

    def _rename(self, name: str, *, backwards: bool) -> str:
        if not self.names:
            return name
        pairs = {b: a for a, b in self.names} if backwards else dict(self.names)
        parts = "|".join(map(re.escape, pairs))
        return re.sub(parts, lambda found: pairs[found[0]], name)

    def _converted(self, name: str, tensor: Tensor, *, backwards: bool) -> Tensor:
        if self.norms_less_one and name.endswith("norm.weight"):
            return tensor.float() + 1 if backwards else tensor - 1
        is_inner = ".layers." in name and tensor.ndim == 2 and not is_packed(name, tensor)
        return tensor.T if self.is_transposed and is_inner else tensor

    def _split(self, name: str, tensor: Tensor, config: ModelConfig) -> Tensors:
        """The parts of a tensor that holds several, if it has the rows of all."""
        for theirs, parts in self.fused:
            rows = [_outputs(part, config) for part in parts]
            if f".{theirs}." in name and tensor.shape[:1] == (sum(rows),):
                names = [name.replace(theirs, part) for part in parts]
                return dict(zip(names, torch.split(tensor, rows), strict=True))
        return {name: tensor}


def _outputs(projection: str, config: ModelConfig) -> int:
    if projection == "q_proj":
        return config.num_attention_heads * config.head_dim
    is_inner = projection in ("gate_proj", "up_proj")
    return config.intermediate_size if is_inner else config.num_key_value_heads * config.head_dim


def need_counts(table: Table, *names: str) -> list[int]:
    """Whole numbers from 1 to ``most_of`` them that a ``config.json`` must have.

    Raises:
        UnreadableConfigError: Naming the first that it has not.
    """
    for name in names:
        if name not in table:
            raise UnreadableConfigError(f"lacks {name}")
        if type(table[name]) is not int or not 1 <= table[name] <= most_of(name):
            raise UnreadableConfigError(
                f"has {name} {table[name]!r}; allowed: 1..{most_of(name):,}"
            )
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
