"""Keys and values of what was read, so that each new token costs one token."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Slot(NamedTuple):
    """Where the keys and values of a new position go, and what it sees."""

    keys: Tensor
    values: Tensor
    first: int
    """Of the positions that are held, the first that it sees."""
    place: int
    """Its own."""
    dropped: int
    """Positions read before those that are held."""


class Rounded:
    """Room for a copy in 8 bits of a layer's keys and values, for whoever reads that instead.

    Shapes: numbers (2, B, K, S x D), whose order is the reader's as long as positions that begin at
    a multiple of ``multiple`` follow those before; sizes (2, B, K, S).
    """

    def __init__(self, multiple: int) -> None:
        self.held = 0
        """The first positions, which are there already."""
        self._multiple = multiple
        self.numbers, self.sizes = torch.empty(2, 0, dtype=torch.int8), torch.empty(2, 0)

    def fit(self, like: Tensor) -> None:
        """Have room for as many positions as keys (B, K, S, D), and keep what is there."""
        batch, heads, size, head_dim = like.shape
        room, numbers, sizes = -(-size // self._multiple) * self._multiple, self.numbers, self.sizes
        if sizes.shape == (2, batch, heads, room):
            return
        self.numbers = torch.empty(2, batch, heads, room * head_dim, dtype=torch.int8)
        self.sizes = torch.zeros(2, batch, heads, room)
        if self.held:
            used = min(room, sizes.shape[-1])
            self.numbers[..., : used * head_dim] = numbers[..., : used * head_dim]
            self.sizes[..., :used] = sizes[..., :used]


class LayerCache:
    """One layer's keys and values, in order, growing by doubling up to its capacity.

    With a window only the last ``window`` positions stay: they move to the front when the room for
    twice as many is full, so memory is flat and a position is copied about once.

    They are kept as ``dtype``, or as they come.
    Shapes: keys and values (B, K, S, D).
    """

    def __init__(
        self, capacity: int, window: int | None = None, dtype: torch.dtype | None = None
    ) -> None:
        self.capacity = capacity
        self.length = 0
        """Positions read so far, of which the last ``window`` are held."""
        self._room = capacity if window is None else min(capacity, 2 * window)
        self._window, self._dtype = window, dtype
        self._held = 0
        self._rounded: Rounded | None = None
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add T positions and return all that T queries may see: (B, K, T, D) to (B, K, S, D)."""
        time = keys.shape[2]
        assert self.length + time <= self.capacity, "the caller ends at the context"
        self.length += time
        if self._held + time > self._room:
            return self._roll(keys, values)
        end = self._held + time
        if self._keys is None or self._values is None or self._keys.shape[2] < end:
            self._grow(min(self._room, max(64, 2 * end)), keys)
        assert self._keys is not None
        assert self._values is not None
        self._keys[:, :, self._held : end] = keys
        self._values[:, :, self._held : end] = values
        self._held = end
        if end == time:  # all that is seen is new, and need not come back in another format
            return keys, values
        first = 0 if self._window is None else max(0, end - (self._window + time - 1))
        return self._keys[:, :, first:end], self._values[:, :, first:end]

    def reserve(self) -> Slot:
        """Room for one more position, for whoever puts it there; some must be there already."""
        assert self._keys is not None
        assert self._values is not None
        if self._held + 1 > self._room:
            assert self._window is not None
            self._rounded = None
            kept = slice(self._held - (self._window - 1), self._held)
            self._held = self._window - 1
            for numbers in (self._keys, self._values):
                numbers[:, :, : self._held] = numbers[:, :, kept].clone()
        if self._keys.shape[2] <= self._held:
            self._grow(min(self._room, 2 * (self._held + 1)), self._keys)
        place, dropped = self._held, self.length - self._held
        self.length, self._held = self.length + 1, place + 1
        first = 0 if self._window is None else max(0, self._held - self._window)
        return Slot(self._keys, self._values, first, place, dropped)

    def rounded(self, multiple: int) -> Rounded:
        """A copy with room for what the cache has room for; its reader adds what is not there."""
        assert self._keys is not None
        if self._rounded is None:
            self._rounded = Rounded(multiple)
        self._rounded.fit(self._keys)
        return self._rounded

    def keep(self, rows: Sequence[int], length: int) -> None:
        """Let the other rows go, and of these all but the last ``length`` positions."""
        self._rounded = None
        begin = max(0, self._held - length)
        if self._keys is not None and self._values is not None:
            self._keys = self._keys[list(rows), :, begin : self._held]
            self._values = self._values[list(rows), :, begin : self._held]
        self._held, self.length = self._held - begin, length

    def join(self, other: "LayerCache") -> None:
        """Put another's rows behind the own; the shorter are padded on the left with zeros."""
        self._rounded = None
        held = max(self._held, other._held)
        pairs = [self._padded(held), other._padded(held)]
        self._keys, self._values = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        self._held, self.length = held, max(self.length, other.length)

    def _padded(self, size: int) -> tuple[Tensor, Tensor]:
        assert self._keys is not None
        assert self._values is not None
        keys, values = (x[:, :, : self._held] for x in (self._keys, self._values))
        before = (0, 0, size - self._held, 0)
        return F.pad(keys, before), F.pad(values, before)

    def _roll(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Give out the window behind the new positions, and keep the last of both."""
        assert self._window is not None
        self._rounded = None
        if self._keys is not None and self._values is not None:
            # The first new query sees window - 1 positions before it.
            old = slice(max(0, self._held - (self._window - 1)), self._held)
            keys = torch.cat([self._keys[:, :, old], keys], dim=2)
            values = torch.cat([self._values[:, :, old], values], dim=2)
        self._held = 0
        self._grow(self._room, keys)
        assert self._keys is not None
        assert self._values is not None
        kept = min(self._window, keys.shape[2])
        self._keys[:, :, :kept] = keys[:, :, -kept:]
        self._values[:, :, :kept] = values[:, :, -kept:]
        self._held = kept
        return keys, values

    def _grow(self, size: int, like: Tensor) -> None:
        if self._keys is not None and self._keys.shape[2] == size:
            return
        (batch, heads, _, head_dim), dtype = like.shape, self._dtype or like.dtype
        grown = [
            torch.empty(batch, heads, size, head_dim, dtype=dtype, device=like.device)
            for _ in range(2)
        ]
        if self._keys is not None and self._values is not None:
            grown[0][:, :, : self._held] = self._keys[:, :, : self._held]
            grown[1][:, :, : self._held] = self._values[:, :, : self._held]
        self._keys, self._values = grown


class KVCache:
    """A cache for each layer's window; ``length`` is how many positions were read."""

    def __init__(
        self, windows: Sequence[int | None], capacity: int, dtype: torch.dtype | None = None
    ) -> None:
        self.layers = [LayerCache(capacity, window, dtype) for window in windows]

    @property
    def length(self) -> int:
        """Positions read so far, which is where the next token stands."""
        return self.layers[0].length

    def keep(self, rows: Sequence[int], length: int) -> None:
        """Let the other rows go, and of these all but the last ``length`` positions."""
        for layer in self.layers:
            layer.keep(rows, length)

    def join(self, other: "KVCache") -> None:
        """Put another's rows behind the own; the newest position of each stands at the end."""
        for layer, joining in zip(self.layers, other.layers, strict=True):
            layer.join(joining)
