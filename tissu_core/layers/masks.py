"""Which keys a query sees, and how distance counts.

T queries stand at the end of S keys. A query sees itself and what is before it, with a window only
the last W of these.
"""

from functools import lru_cache

import torch
from torch import Tensor


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


def hide_padding(mask: Tensor, padding: Tensor) -> Tensor:
    """The mask of each row, whose first ``padding`` keys are seen by nobody.

    A query that is padding itself sees itself, so that no softmax is over nothing.

    Shapes: mask (T, S) or (H, T, S); padding (B,); returns (B, 1, T, S) or (B, H, T, S).
    """
    time, seen = mask.shape[-2:]
    keys = torch.arange(seen, device=mask.device)
    first = torch.minimum(padding[:, None], keys[seen - time :])  # (B, T)
    is_real = (keys >= first[..., None])[:, None]
    return mask & is_real if mask.dtype == torch.bool else mask.where(is_real, float("-inf"))


def hide_other_documents(mask: Tensor, documents: Tensor) -> Tensor:
    """The mask of each row, in which a token sees those of its own document alone.

    Shapes: mask (T, T) or (H, T, T); documents (B, T), the number of each token's; returns
    (B, 1, T, T) or (B, H, T, T).
    """
    is_own = (documents[:, :, None] == documents[:, None])[:, None]
    return mask & is_own if mask.dtype == torch.bool else mask.where(is_own, float("-inf"))


def number_documents(ids: Tensor, start_id: int) -> tuple[Tensor, Tensor]:
    """Of each token, the number of its document in the row, and its place in that.

    A document begins with ``start_id``; the first may have begun before the row.

    Shapes: ids (B, T); returns two (B, T).
    """
    begins = ids == start_id
    places = torch.arange(ids.shape[1], device=ids.device)
    first = torch.where(begins, places, 0).cummax(1).values
    return begins.cumsum(1), places - first
