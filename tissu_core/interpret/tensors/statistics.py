"""Statistics of one tensor: moments, histogram, values far out and values that are no numbers."""

import math

import torch
from torch import Tensor

from tissu_core.events.tensors import Place, TensorSummarized
from tissu_core.interpret.tensors.reading import iter_finite

_FAR = 6.0
"""Standard deviations, beyond which one of 500 million normal values lies."""
_NAMED = 5


def summarize_tensor(name: str, dtype: str, tensor: Tensor, bins: int) -> TensorSummarized:
    """The figures of all finite values, and a histogram of ``bins``."""
    count = zeros = 0
    low, high, total, squares = math.inf, -math.inf, 0.0, 0.0
    for values in iter_finite(tensor):
        if values.numel():
            count += values.numel()
            zeros += values.numel() - int(values.count_nonzero())
            least, most = values.aminmax()
            low, high = min(low, float(least)), max(high, float(most))
            total += float(values.sum())
            squares += float(values.dot(values))
    if not count:
        low = high = 0.0
    mean = total / max(1, count)
    nans = int(tensor.isnan().sum()) if count < tensor.numel() else 0
    deviations, histogram = _spread(tensor, mean, bins if low < high else 1, low, high)
    histogram = histogram if count else ()
    std = math.sqrt(deviations / max(1, count))
    return TensorSummarized(
        name=name,
        shape=tuple(tensor.shape),
        dtype=dtype,
        mean=mean,
        std=std,
        min=low,
        max=high,
        zeros=zeros,
        nans=nans,
        infs=tensor.numel() - count - nans,
        norm=math.sqrt(squares),
        histogram=histogram,
        edges=_edges(low, high, len(histogram)),
        num_bytes=tensor.nbytes,
        not_finite=_not_finite(tensor) if count < tensor.numel() else (),
        num_extreme=_num_beyond(tensor, mean - _FAR * std, mean + _FAR * std) if std else 0,
        largest=_largest(tensor, high if high >= -low else low) if count else None,
    )


def _spread(
    tensor: Tensor, mean: float, bins: int, low: float, high: float
) -> tuple[float, tuple[int, ...]]:
    """The sum of squared deviations of finite values, and how many are in each bin."""
    deviations, counts = 0.0, torch.zeros(bins, dtype=torch.double)
    for values in iter_finite(tensor):
        away = values - mean
        deviations += float(away.dot(away))
        # Where all are equal, histc would widen the range on its own.
        counts += values.histc(bins, low, high) if low < high else values.numel()
    return deviations, tuple(int(count) for count in counts)


def _edges(low: float, high: float, bins: int) -> tuple[float, ...]:
    """The bounds of equal bins, one more than there are bins; none for none."""
    if not bins:
        return ()
    return (*(low + (high - low) * i / bins for i in range(bins)), high)


def _not_finite(tensor: Tensor) -> tuple[Place, ...]:
    found = (~tensor.isfinite()).flatten().nonzero()[:_NAMED, 0]
    return tuple(place_of(int(index), tensor) for index in found)


def _num_beyond(tensor: Tensor, low: float, high: float) -> int:
    outside = ((values < low) | (values > high) for values in iter_finite(tensor))
    return sum(int(found.count_nonzero()) for found in outside)


def _largest(tensor: Tensor, value: float) -> tuple[Place, float]:
    index = int((tensor.flatten() == value).to(torch.uint8).argmax())
    return place_of(index, tensor), value


def place_of(index: int, tensor: Tensor) -> Place:
    """Where the value is that is ``index`` in the tensor's flat order."""
    place: list[int] = []
    for size in reversed(tensor.shape):  # torch.unravel_index imports sympy: 0.4 s
        index, at = divmod(index, size)
        place.append(at)
    return tuple(reversed(place))
