"""The tensors of a model as the numbers they stand for, however they are packed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tissu_core.checkpoint.gguf.model import GgufModel
from tissu_core.checkpoint.model_directory import from_hugging_face
from tissu_core.checkpoint.stored_model import StoredModel, TensorFacts
from tissu_core.events.tensors import TensorListed
from tissu_core.layers.packed import BESIDE, PackedEmbedding
from tissu_core.models.build import build_empty

PART = 1 << 22
"""Values worked on at once."""


@dataclass(frozen=True)
class TensorReader:
    """Reads a model's tensors one at a time; scales and minima belong to what they scale."""

    model: StoredModel

    @cached_property
    def names(self) -> list[str]:
        """All tensors but those that stand beside packed ones."""
        return [name for name in self._stored if not self._is_beside(name)]

    def is_packed(self, name: str) -> bool:
        """Whether it is kept as whole numbers with scales."""
        return bool(self._beside(name)) or _is_gguf_packed(self._stored[name])

    def listed(self, name: str) -> TensorListed:
        """What the header says of it."""
        stored = self._stored[name]
        beside = sum(self._stored[each].num_bytes for each in self._beside(name))
        return TensorListed(
            name=name,
            shape=self.shape(name),
            dtype=self._dtype(name),
            num_bytes=stored.num_bytes + beside,
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """Rows first, as ``read`` gives it."""
        stored = self._stored[name]
        if isinstance(self.model, GgufModel) and self.model.is_turned(name):
            return stored.shape[::-1]
        is_grouped = len(self._beside(name)) > 1
        return self._shapes[name] if is_grouped else stored.shape

    def _dtype(self, name: str) -> str:
        """As the file spells it; of what tissu packed, by its bits."""
        stored = self._stored[name]
        if not self._beside(name):
            return stored.dtype
        size = self.shape(name)[-1]
        return f"int{8 * stored.shape[-1] // size}"

    def read(self, name: str) -> Tensor:
        """The values of one tensor, on the CPU; of a packed one in fp32."""
        tensor = self.model.read(name)
        beside = self._beside(name)
        if not beside:
            return tensor
        scale = self.model.read(f"{name}_scale")
        if len(beside) == 1:
            return tensor * scale[:, None]
        rows, size = self._shapes[name]
        packed = PackedEmbedding(rows, size, 8 * tensor.shape[1] // size, size // scale.shape[1])
        packed.weight, packed.weight_scale = tensor, scale
        packed.weight_min = self.model.read(f"{name}_min")
        return packed.dequantize()

    def steps(self, name: str) -> Tensor | None:
        """Between neighbouring levels of each group of a packed matrix: (rows, groups).

        None of what is not packed, or whose levels are unevenly spaced.
        """
        if self._beside(name):
            scale = self.model.read(f"{name}_scale").float()
            return scale.reshape(len(scale), -1)
        return self.model.steps(name) if isinstance(self.model, GgufModel) else None

    @property
    def _stored(self) -> Mapping[str, TensorFacts]:
        return self.model.tensors

    def _beside(self, name: str) -> list[str]:
        if self._stored[name].dtype not in ("I8", "U8"):
            return []
        ends = (name.removesuffix(".weight") + end for end in BESIDE)
        return [each for each in ends if each in self._stored]

    def _is_beside(self, name: str) -> bool:
        weight = next((name.removesuffix(e) + ".weight" for e in BESIDE if name.endswith(e)), "")
        return weight in self._stored and name in self._beside(weight)

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the model that the configuration describes: packed rows do not tell their width."""
        model = build_empty(from_hugging_face(self.model.table, self.model.path))
        return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _is_gguf_packed(stored: TensorFacts) -> bool:
    return getattr(stored, "is_packed_matrix", False)


def iter_finite(tensor: Tensor) -> Iterator[Tensor]:
    """The numbers among the values in fp64, some at a time: of an embedding's all are much."""
    for part in torch.split(tensor.flatten(), PART):
        is_finite = part.isfinite()
        yield (part if bool(is_finite.all()) else part[is_finite]).double()


def iter_rows(tensor: Tensor) -> Iterator[Tensor]:
    """The rows of a matrix in fp64, some at a time; what is no number is zero."""
    for part in torch.split(tensor, max(1, PART // max(1, tensor.shape[1]))):
        yield part.double().nan_to_num(0.0, 0.0, 0.0)
