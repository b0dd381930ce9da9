"""A GGUF file as if it were a Hugging Face directory: the same configuration, names and layouts."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tissu_core.checkpoint.gguf.architectures import ARCHITECTURES, Architecture
from tissu_core.checkpoint.gguf.blocks import BlockType, dequantize, packed_runs
from tissu_core.checkpoint.gguf.facts import Facts
from tissu_core.checkpoint.gguf.header import GgufFile, GgufTensor, read_gguf
from tissu_core.checkpoint.weights import widened
from tissu_core.errors import InputError
from tissu_core.events.shared import Noticed
from tissu_core.text.imported.gguf import tokenizer_from_gguf, unknown_split
from tissu_core.text.tokenizer import Tokenizer

_PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")


@dataclass(frozen=True, slots=True)
class GgufModel:
    """The model in a GGUF file."""

    path: Path
    table: dict[str, Any]
    """Its ``config.json``."""
    tensors: dict[str, GgufTensor]
    """By the family's names."""
    _file: GgufFile
    _architecture: Architecture

    @classmethod
    def open(cls, path: Path) -> "GgufModel":
        """Read the header alone.

        Raises:
            InputError: If it is damaged or of an architecture this version does not read.
        """
        file = read_gguf(path)
        facts = Facts(file)
        architecture = ARCHITECTURES.get(facts.architecture)
        if architecture is None:
            raise InputError(
                f"{path} is of the architecture {facts.architecture[:80]!r}; this version reads: "
                + ", ".join(ARCHITECTURES),
                hint="use another model",
            )
        if file.metadata.get("split.count", 1) != 1:
            raise InputError(
                f"{path} is a part of a model in several files, which this version does not read",
                hint="llama-gguf-split --merge, which comes with llama.cpp, makes one of them",
            )
        tensors = dict(_renamed(facts, file, architecture))
        return cls(path, architecture.to_table(facts), tensors, file, architecture)

    def notices(self) -> tuple[Noticed, ...]:
        """Whether texts are cut as the model learned them."""
        split = unknown_split(self._file.metadata)
        text = f"how this model cuts a text ({split!r}) is not known here, so it is cut as GPT-2's"
        return (Noticed(level="warning", text=text),) if split else ()

    def end_ids(self) -> list[int]:
        """Tokens that end a reply."""
        found = (self._file.metadata.get(f"tokenizer.ggml.{key}") for key in _END_KEYS)
        return [id for id in found if isinstance(id, int)]

    def load_tokenizer(self) -> Tokenizer:
        """The one that the file describes."""
        return tokenizer_from_gguf(self._file.metadata)

    def read(self, name: str) -> Tensor:
        """One tensor as the family's file would have it; in fp32, if it is packed."""
        tensor = self.tensors[name]
        values = _unpacked(tensor.kind, self._rows(name)).reshape(tensor.shape)
        if self._architecture.norm_offset and name.endswith("norm.weight"):
            values = values - self._architecture.norm_offset
        return values.T if self._architecture.turns(name, values.ndim) else values

    def is_turned(self, name: str) -> bool:
        """Whether the family has the matrix the other way round than the file."""
        return self._architecture.turns(name, len(self.tensors[name].shape))

    def steps(self, name: str) -> Tensor | None:
        """Between neighbouring levels of each run of a packed matrix, in the file's order:
        (blocks, runs); None where levels are unevenly spaced, or there are none."""  # noqa: D205, D209
        kind = self.tensors[name].kind
        if kind.runs is None or not kind.is_even:
            return None
        blocks = self._file.packed(self.tensors[name]).reshape(-1, kind.num_bytes)
        return torch.from_numpy(kind.runs(blocks).scale).abs()

    def iter_load(self) -> Generator[int, None, dict[str, Tensor]]:
        """All tensors; yields the bytes of each."""
        tensors: dict[str, Tensor] = {}
        for name, stored in self.tensors.items():
            if stored.is_packed_matrix:
                tensors |= _numbers(name, stored, self._rows(name))
            else:
                tensors[name] = widened(name, self.read(name))
            yield stored.num_bytes
        return tensors

    def _rows(self, name: str) -> NDArray[np.uint8]:
        """A tensor's rows as they are packed, in the family's order."""
        packed = self._file.packed(self.tensors[name])
        if self._architecture.is_interleaved and ".self_attn." in name:
            return self._in_halves(name, packed)  # before they are unpacked, while they are small
        return packed

    def _in_halves(self, name: str, packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Rows of each head with its pairs' firsts before their seconds, as Hugging Face has them.

        Llama's original code rotates neighbouring channels, and GGUF keeps that order.
        """
        heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
        count = self.table.get(heads.get(name.split(".")[-2], ""))
        if count is None:
            return packed
        num_rows = self.tensors[name].shape[0]  # of a bias, single numbers
        if num_rows % (2 * count) or packed.size % num_rows:
            raise InputError(
                f"{self.path}: {name} has {num_rows} rows for {count} heads",
                hint="use another copy of the model",
            )
        pairs = packed.reshape(count, -1, 2, packed.size // num_rows)
        return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(packed.shape)


def _numbers(name: str, stored: GgufTensor, rows: NDArray[np.uint8]) -> dict[str, Tensor]:
    """A packed matrix as ``layers/packed.py`` holds it."""
    kind, path = stored.kind, name.removesuffix(".weight")
    numbers, scale, low = (torch.from_numpy(part) for part in packed_runs(kind, rows))
    return {
        f"{path}.weight": numbers,
        f"{path}.weight_scale": scale,
        f"{path}.weight_min": low,
    }


def _unpacked(kind: BlockType, packed: NDArray[np.uint8]) -> Tensor:
    if kind.name in _PLAIN:
        return torch.from_numpy(packed.copy()).view(_PLAIN[kind.name])
    return torch.from_numpy(dequantize(kind, packed))


def _renamed(
    facts: Facts, file: GgufFile, architecture: Architecture
) -> Iterator[tuple[str, GgufTensor]]:
    """Tensors under the family's names; those of stacked experts one by one.

    Raises:
        InputError: If one is no part of the architecture.
    """
    for name, tensor in file.tensors.items():
        theirs = architecture.rename(name)
        if theirs is None:
            raise InputError(
                f"{file.path} has a tensor too many: {name}", hint="use another copy of the model"
            )
        if "*" not in theirs:
            if theirs:
                yield theirs, tensor
            continue
        experts = facts.experts()
        if len(tensor.shape) != 3 or tensor.shape[0] != experts:
            raise InputError(
                f"{file.path}: {name} is {tensor.shape}, and there are {experts} experts",
                hint="use another copy of the model",
            )
        size = tensor.num_bytes // experts
        for expert in range(experts):
            offset = tensor.offset + expert * size
            part = replace(tensor, shape=tensor.shape[1:], offset=offset)
            yield theirs.replace("*", str(expert)), part
