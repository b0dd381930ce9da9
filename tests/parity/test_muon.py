"""Muon in batches equals Muon written as its papers do: one matrix, singular values, fp64."""

import torch
from torch import Tensor

from tissu_core.training.muon import COEFFICIENTS, Muon

RATE, DECAY, MOMENTUM, BETA2 = 0.05, 0.1, 0.95, 0.9
SHAPES = [(6, 10), (10, 6), (6, 10), (8, 8)]


class PlainMuon:
    """One matrix: Nesterov momentum, polynomials of singular values, even outputs."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight.double()
        self.momentum = torch.zeros_like(self.weight)
        self.second = torch.zeros(len(weight), dtype=torch.double)

    def step(self, gradient: Tensor) -> None:
        gradient = gradient.double()
        self.momentum = MOMENTUM * self.momentum + (1 - MOMENTUM) * gradient
        direction = (1 - MOMENTUM) * gradient + MOMENTUM * self.momentum
        left, values, right = torch.linalg.svd(direction, full_matrices=False)
        values = values / (1.01 * values.norm() + 1e-7)
        for a, b, c in COEFFICIENTS:
            values = a * values + b * values**3 + c * values**5
        step = left @ values.diag() @ right
        self.second = BETA2 * self.second + (1 - BETA2) * step.square().mean(dim=1)
        even = step / (self.second[:, None] + 1e-10).sqrt()
        step = even * step.norm() / (even.norm() + 1e-10)
        rows, columns = self.weight.shape
        self.weight = self.weight * (1 - RATE * DECAY)
        self.weight = self.weight - RATE * max(1.0, rows / columns) ** 0.5 * step


def test_ten_steps_of_matrices_of_all_shapes_are_those_of_each_alone() -> None:
    draw = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=draw).requires_grad_() for shape in SHAPES]
    plain = [PlainMuon(weight.detach()) for weight in weights]
    muon = Muon(weights, lr=RATE, momentum=MOMENTUM, beta2=BETA2, weight_decay=DECAY)
    for _ in range(10):
        for weight, twin in zip(weights, plain, strict=True):
            weight.grad = torch.randn(weight.shape, generator=draw)
            twin.step(weight.grad)
        muon.step()
    for weight, twin in zip(weights, plain, strict=True):
        torch.testing.assert_close(weight.detach().double(), twin.weight, atol=2e-4, rtol=1e-3)
