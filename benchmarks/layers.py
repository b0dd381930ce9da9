"""Training attention and loss on a CPU against torch's own: forward and backward, as ratios.

``python benchmarks/layers.py`` alternates the two in one process and prints medians.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from tissu_core.layers.cpu_attention import blocked_causal_attention
from tissu_core.models.loss import linear_nll_sum

ROUNDS = 15


def milliseconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def compare(name: str, ours: Callable[[], None], theirs: Callable[[], None]) -> None:
    for work in (ours, theirs):
        work()
    pairs = [(milliseconds(ours), milliseconds(theirs)) for _ in range(ROUNDS)]
    mine, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:48} {mine:8.1f} ms {other:8.1f} ms   ratio {ratio:.2f}")


def attention(batch: int, heads: int, time_: int, dtype: torch.dtype) -> None:
    shape = (batch, heads, time_, 64)
    parts = [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]
    gradient = torch.randn(shape, dtype=dtype)

    def ours() -> None:
        blocked_causal_attention(*parts).backward(gradient)

    def theirs() -> None:
        F.scaled_dot_product_attention(*parts, is_causal=True).backward(gradient)

    compare(f"attention {batch} x {heads} x {time_} x 64 {str(dtype)[6:]}", ours, theirs)


def loss(rows: int, width: int, vocabulary: int, dtype: torch.dtype) -> None:
    hidden = torch.randn(rows, width, dtype=dtype, requires_grad=True)
    weight = torch.randn(vocabulary, width, requires_grad=True)
    targets = torch.randint(vocabulary, (rows,))

    def ours() -> None:
        linear_nll_sum(hidden, weight, targets).backward()

    def theirs() -> None:
        logits = F.linear(hidden, weight.to(dtype)).float()
        F.cross_entropy(logits, targets, reduction="sum").backward()

    compare(f"loss {rows} x {width} over {vocabulary} {str(dtype)[6:]}", ours, theirs)


def main() -> None:
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"{'':48} {'tissu':>11} {'torch':>11}")
    for dtype in (torch.bfloat16, torch.float32):
        attention(24, 4, 128, dtype)
        attention(16, 4, 256, dtype)
        attention(8, 6, 512, dtype)
        loss(4096, 256, 4096, dtype)


if __name__ == "__main__":
    main()
