"""Which tokens of a window are to be predicted.

One that is only read, such as what the person says, is written in a window as its complement,
``~id``: a negative number. So a window stays one row of numbers wherever it travels.
"""

import torch
from torch import Tensor

NO_TARGET = -100
"""The label of a token that is not predicted, as torch's cross-entropy has it."""


def read_ids(windows: Tensor) -> Tensor:
    """The ids of windows, whether they are targets or not."""
    return torch.where(windows < 0, ~windows, windows)


def labels(windows: Tensor) -> Tensor:
    """The ids of the targets, and ``NO_TARGET`` elsewhere."""
    return windows.masked_fill(windows < 0, NO_TARGET)


def num_targets(windows: Tensor) -> int:
    """How many tokens of windows (B, T+1) are predicted: the first is not, whatever it is."""
    return int((windows[:, 1:] >= 0).sum())
