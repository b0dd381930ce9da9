"""What the parts of a model compute while it reads: how large, how spread, and what stands out."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from tissu_core.events.activations import ActivationPart, ActivationSummarized
from tissu_core.models.bins import NUM_BINS, bin_edges, count_bins
from tissu_core.models.dead_units import find_dead, units_of
from tissu_core.models.decoder import Decoder
from tissu_core.models.observe import observe

_MASSIVE, _MASSIVE_RATIO = 100.0, 1000.0
"""Size, and size over the median of all of a text there, from which on an activation is massive.
Source: Sun et al. 2024, arXiv:2402.17762, section 2."""
_LEAST_MEDIAN = 1e-12
"""Where most channels are zero, the others are so many times this."""
_STREAMS = ("embedding", "stream")


@dataclass(slots=True)
class Massive:
    """A channel of the stream with massive activations; ``row`` and ``position`` of the largest."""

    channel: int
    value: float
    ratio: float
    row: int
    position: int
    num_tokens: int


class Place:
    """Sums over what passes one place of a model."""

    def __init__(self, name: str, part: ActivationPart, layer: int | None) -> None:
        self.name, self.part, self.layer = name, part, layer
        self.massive: dict[int, Massive] = {}
        self.not_finite = 0
        self.tops: Tensor | None = None
        """The largest size of each channel or unit so far: (C,)."""
        self._bins = torch.zeros(NUM_BINS + 1, dtype=torch.int64)
        self._powers = torch.zeros(4, dtype=torch.float64)
        self._zeros = self._num_values = self._num_rows = 0
        self._norms: list[Tensor] = []
        self._largest = (-1.0, 0, 0.0)

    def add(self, values: Tensor) -> None:
        """Take up what one row of tokens, or some of its tokens, are here: (..., C)."""
        tokens = values.detach().float().flatten(0, -2).cpu()
        bins = count_bins(tokens)
        self._bins += bins
        self._num_values += tokens.numel()
        self._zeros += int((tokens == 0).sum())
        is_finite = tokens.isfinite()
        if bad := int(bins[-1]):
            self.not_finite += bad
            tokens = tokens.where(is_finite, 0.0)
        wide = tokens.flatten().double()
        squares = wide.square()
        sums = wide.sum(), squares.sum(), squares.dot(wide), squares.dot(squares)
        self._powers += torch.stack(sums)
        sizes = tokens.abs()
        self._norms.append(tokens.norm(dim=-1))
        # A unit that is no number is not dead, which its 0 here would make it.
        tops = sizes.where(is_finite, torch.inf).amax(0)
        self.tops = tops if self.tops is None else torch.maximum(self.tops, tops)
        self._find_largest(tokens, sizes)
        self._num_rows += 1

    def _find_largest(self, tokens: Tensor, sizes: Tensor) -> None:
        ratios = sizes / sizes.median().clamp(min=_LEAST_MEDIAN)
        place = int(sizes.argmax())
        token, channel = divmod(place, sizes.shape[-1])
        if (size := float(sizes[token, channel])) > self._largest[0]:
            self._largest = size, channel, float(ratios[token, channel])
        if self.part not in _STREAMS:
            return
        is_massive = (sizes > _MASSIVE) & (ratios >= _MASSIVE_RATIO)
        for channel in is_massive.any(0).nonzero().flatten().tolist():
            at = int(sizes[:, channel].argmax())
            found = Massive(
                channel,
                float(tokens[at, channel]),
                float(ratios[at, channel]),
                self._num_rows,
                at,
                int(is_massive[:, channel].sum()),
            )
            before = self.massive.get(channel)
            if before is not None:
                found.num_tokens += before.num_tokens
                if abs(before.value) >= abs(found.value):
                    before.num_tokens = found.num_tokens
                    continue
            self.massive[channel] = found

    @property
    def norm(self) -> float:
        """The median norm of a token; 0 where none came by."""
        return float(torch.cat(self._norms).median()) if self._norms else 0.0

    def summarized(self, before: float | None) -> ActivationSummarized:
        """The figures; ``before`` is the norm of the stream before, if this is one."""
        count = max(1, self._num_values - self.not_finite)
        mean, second, third, fourth = (self._powers / count).tolist()
        variance = max(0.0, second - mean * mean)
        central = fourth - 4 * mean * third + 6 * mean * mean * second - 3 * mean**4
        size, channel, ratio = self._largest
        width = 0 if self.tops is None else len(self.tops)
        is_units = self.part == "units" and self.tops is not None
        return ActivationSummarized(
            name=self.name,
            part=self.part,
            layer=self.layer,
            num_tokens=self._num_values // max(1, width),
            width=width,
            mean=mean,
            std=math.sqrt(variance),
            max_abs=max(0.0, size),
            zeros=self._zeros / count,
            kurtosis=central / variance**2 - 3 if variance > 1e-12 * second else 0.0,
            not_finite=self.not_finite,
            norm=self.norm,
            growth=self.norm / before if before else None,
            largest_channel=channel,
            largest_ratio=ratio,
            dead_units=find_dead(self.tops) if is_units and self.tops is not None else (),
            histogram=tuple(self._bins[:-1].tolist()),
            edges=bin_edges(),
        )


@torch.inference_mode()
def watch_rows(model: Decoder, rows: Sequence[Tensor], places: Sequence[Place]) -> Iterator[int]:
    """Read rows (1, T) of ids, one after the other; yields how many are done."""
    leaving = {p.name: p.add for p in places if p.part != "units"}
    entering = {p.name: p.add for p in places if p.part == "units"}
    with observe(model, leaving, entering):
        for done, row in enumerate(rows, 1):
            model.model(row)
            yield done


def places_of(model: Decoder) -> list[Place]:
    """The embedding and, of each block, attention, units, feed-forward and stream, in order."""
    found = [Place("model.embed_tokens", "embedding", None)]
    units = units_of(model)
    for layer in range(model.config.num_hidden_layers):
        block = f"model.layers.{layer}"
        found.append(Place(f"{block}.self_attn", "attention", layer))
        inside = [name for name in units if name.startswith(f"{block}.")]
        found += [Place(name, "units", layer) for name in inside]
        found += [Place(f"{block}.mlp", "mlp", layer), Place(block, "stream", layer)]
    return found


def summarize_places(places: Sequence[Place]) -> tuple[ActivationSummarized, ...]:
    """The figures of all places, each stream beside the one before."""
    found, before = [], None
    for place in places:
        is_stream = place.part in _STREAMS
        found.append(place.summarized(before if is_stream else None))
        before = place.norm if is_stream else before
    return tuple(found)


@torch.inference_mode()
def first_not_finite(model: Decoder, rows: Sequence[Tensor]) -> str:
    """The first module, in the order of computing, whose output is not all finite; "" if none."""
    found: list[str] = []

    def look(name: str, values: object) -> None:
        if isinstance(values, Tensor) and not found and not values.isfinite().all():
            found.append(name)

    seen = {name: partial(look, name) for name, _ in model.named_modules() if name}
    with observe(model, seen):
        for row in rows:
            model(row)
            if found:
                break
    return found[0] if found else ""


def bad_weights(model: nn.Module) -> tuple[tuple[str, int], ...]:
    """Tensors with NaN or infinities, and how many."""
    counts = {
        name: int((~tensor.isfinite()).sum())
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        if tensor.is_floating_point()
    }
    return tuple((name, count) for name, count in counts.items() if count)
