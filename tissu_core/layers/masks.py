"""Which keys a query sees, and how distance counts.

T queries stand at the end of S keys. A query sees itself and what is before it, with a window only
the last W of these.
"""

from functools import lru_cache

import torch
from torch import Tensor


def is_plain_causal(time: int, keys: int, window: int | None) -> bool:
    """Whether the whole causal triangle, or one query that sees all keys, is all there is."""
    return (time == keys or time == 1) and (window is None or keys <= window)


@lru_cache(maxsize=8)  # the layers of a model ask for the same one, one after the other
def attention_mask(
    time: int, keys: int, window: int | None, slopes: tuple[float, ...], like: torch.device
) -> Tensor:
    """What is added to the scores, or where they count.

    Shapes: (T, S) booleans; with H ``slopes`` (H, T, S) numbers in fp32, -inf where unseen.
    """
    with torch.inference_mode(False):  # kept for training, which may be next
        query = torch.arange(keys - time, keys, device=like)[:, None]
        distance = query - torch.arange(keys, device=like)
        is_seen = distance >= 0
        if window is not None:
            is_seen &= distance < window
        if not slopes:
            return is_seen
        bias = -torch.tensor(slopes, device=like)[:, None, None] * distance
        return bias.masked_fill(~is_seen, float("-inf"))
