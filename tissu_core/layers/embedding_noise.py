"""Noise on embeddings, in training alone: the model learns what holds around a word, too."""

import torch
from torch import Tensor


def add_noise(x: Tensor, std: float, neftune: float) -> Tensor:
    """Embeddings with Gaussian noise of ``std`` and uniform noise within neftune / sqrt(T C).

    Source of the second: NEFTune, Jain et al. 2023, arXiv:2310.05914, algorithm 1.

    Shapes: (B, T, C) to the same.
    """
    if std:
        x = x + std * torch.randn_like(x)
    if neftune:
        bound = neftune / (x.shape[1] * x.shape[2]) ** 0.5
        x = x + bound * (2 * torch.rand_like(x) - 1)
    return x
