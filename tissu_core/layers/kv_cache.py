"""Keys and values of what was read, so that each new token costs one token."""

import torch
from torch import Tensor


class LayerCache:
    """One layer's keys and values, contiguous, growing by doubling up to its capacity.

    Shapes: keys and values (B, K, S, D).
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add T positions and return all S: (B, K, T, D) to (B, K, S, D)."""
        end = self.length + keys.shape[2]
        assert end <= self.capacity, "the caller ends at the context"
        if self._keys is None or self._values is None or self._keys.shape[2] < end:
            self._grow(min(self.capacity, max(64, 2 * end)), keys)
        assert self._keys is not None
        assert self._values is not None
        self._keys[:, :, self.length : end] = keys
        self._values[:, :, self.length : end] = values
        self.length = end
        return self._keys[:, :, :end], self._values[:, :, :end]

    def _grow(self, size: int, like: Tensor) -> None:
        batch, heads, _, head_dim = like.shape
        grown = [
            torch.empty(batch, heads, size, head_dim, dtype=like.dtype, device=like.device)
            for _ in range(2)
        ]
        if self._keys is not None and self._values is not None:
            grown[0][:, :, : self.length] = self._keys[:, :, : self.length]
            grown[1][:, :, : self.length] = self._values[:, :, : self.length]
        self._keys, self._values = grown


class KVCache:
    """A cache per layer; ``length`` is how many positions were read."""

    def __init__(self, num_layers: int, capacity: int) -> None:
        self.layers = [LayerCache(capacity) for _ in range(num_layers)]

    @property
    def length(self) -> int:
        """Positions read so far, which is where the next token stands."""
        return self.layers[0].length
