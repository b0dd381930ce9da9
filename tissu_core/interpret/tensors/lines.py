"""Rows and columns of a matrix that do nothing, or far more than the others."""

import torch
from torch import Tensor

from tissu_core.events.tensors import LinesExamined, NormedLine
from tissu_core.interpret.tensors.reading import iter_rows

_DEAD = 1e-3
"""Of the median norm: what adds so little is silent."""
_FAR = 6.0
"""Standard deviations above the median, estimated robustly."""
_NORMAL = 1.4826
"""Times the median absolute deviation, the standard deviation of normal noise."""
_LEAST_RATIO = 1.5
"""To the median: among norms that are all but equal none stands out."""
_FEWEST = 8
"""Lines, below which nothing is called usual."""
_NAMED = 8


def examine_lines(tensor: Tensor) -> tuple[LinesExamined, ...]:
    """Rows, then columns, of a matrix; none of another tensor or of one with few of either.

    A line's norm is compared with the median of those that are not zero; an outlier is six robust
    standard deviations above it (Iglewicz and Hoaglin 1993, with the median absolute deviation).
    """
    if tensor.ndim != 2 or not tensor.numel():
        return ()
    rows, columns = [], torch.zeros(tensor.shape[1], dtype=torch.double)
    for part in iter_rows(tensor):
        squares = part.square_()
        rows.append(squares.sum(1).sqrt())
        columns += squares.sum(0)
    found = (_examine(torch.cat(rows), "row"), _examine(columns.sqrt(), "column"))
    return tuple(each for each in found if each is not None)


def _examine(norms: Tensor, axis: str) -> LinesExamined | None:
    if len(norms) < _FEWEST:
        return None
    alive = norms[norms > 0]
    median = float(alive.median()) if len(alive) else 0.0
    spread = _NORMAL * float((alive - median).abs().median()) if len(alive) else 0.0
    dead = (norms <= _DEAD * median).nonzero()[:, 0]
    limit = max(median + _FAR * spread, _LEAST_RATIO * median)
    outliers = (norms > limit).nonzero()[:, 0]
    largest = outliers[norms[outliers].argsort(descending=True)][:_NAMED]
    return LinesExamined(
        axis="row" if axis == "row" else "column",
        median_norm=median,
        num_dead=len(dead),
        dead=tuple(int(index) for index in dead[:_NAMED]),
        num_outliers=len(outliers),
        outliers=tuple(
            NormedLine(index=int(i), norm=float(norms[i]), ratio=float(norms[i]) / median)
            for i in largest
        ),
    )
