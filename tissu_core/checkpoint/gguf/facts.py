"""What a GGUF file says of its model's shape, checked as it is read."""

import math
from typing import Any

import numpy as np

from tissu_core.checkpoint.gguf.header import GgufFile
from tissu_core.errors import InputError

_MOST = 1 << 20
"""Of every count but that of positions: no width, number of heads or experts comes near."""
_MOST_EXPERTS = _MOST_BLOCKS = 1 << 10
_MOST_POSITIONS = 1 << 24


class Facts:
    """The metadata under the name of the file's architecture: ``llama.block_count``.

    Raises, in every method:
        InputError: Naming the key, its value and what is allowed.
    """

    def __init__(self, file: GgufFile) -> None:
        self._file = file
        self.architecture = str(file.metadata.get("general.architecture"))

    def get(self, key: str, default: Any = None) -> Any:
        """One value as it is."""
        value = self._file.metadata.get(f"{self.architecture}.{key}", default)
        if isinstance(value, list):
            raise self.refusal(key, "a list", "one value for all layers")
        return value

    def has_tensor(self, name: str) -> bool:
        """Whether the file holds a tensor of this name."""
        return name in self._file.tensors

    def count(self, key: str, default: int | None = None, most: int = _MOST) -> int:
        """A whole number from 1; one without a default must be there."""
        value = self.get(key, default)
        if type(value) is not int or not 1 <= value <= most:
            raise self.refusal(key, value, f"1..{most:,}")
        return value

    def experts(self) -> int:
        """The number of feed-forwards in a layer."""
        return self.count("expert_count", most=_MOST_EXPERTS)

    def positions(self) -> int:
        """The longest text the model was trained on, in tokens."""
        return self.count("context_length", most=_MOST_POSITIONS)

    def number(self, key: str, default: float) -> float:
        """A number above 0, as short as its fp32 can be written."""
        value = self.get(key, default)
        if type(value) not in (int, float) or not 1e-30 < value < 1e30:
            raise self.refusal(key, value, "1e-30..1e30")
        return float(str(np.float32(value)))

    def blocks(self) -> int:
        """The number of blocks, of which each must have tensors."""
        numbers = {name.split(".")[1] for name in self._file.tensors if name.startswith("blk.")}
        count = self.count("block_count", most=_MOST_BLOCKS)
        if len(numbers) != count:
            raise self.refusal("block_count", count, f"{len(numbers)}, for so many have tensors")
        return count

    def vocab_size(self) -> int:
        """The rows of the token embedding."""
        if not self.has_tensor("token_embd.weight"):
            raise InputError(
                f"{self._file.path} lacks the tensor token_embd.weight",
                hint="use another copy of the model",
            )
        return self._file.tensors["token_embd.weight"].shape[0]

    def vector(self, name: str) -> list[float]:
        """The values of a small tensor; none where there is none."""
        if not self.has_tensor(name):
            return []
        tensor = self._file.tensors[name]
        if math.prod(tensor.shape) > _MOST:
            raise self.refusal(name, f"{tensor.shape}", "a row")
        return [float(value) for value in self._file.values(tensor).flat]

    def refusal(self, key: str, value: object, allowed: str) -> InputError:
        """The error for a value that cannot be, or is not computed here."""
        return InputError(
            f"{self._file.path}: {self.architecture}.{key} is {str(value)[:80]}; "
            f"allowed: {allowed}",
            hint="use another copy of the model",
        )
