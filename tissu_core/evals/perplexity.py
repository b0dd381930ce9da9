"""Perplexity and bits per byte of documents, in overlapping windows."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from tissu_core.models.decoder import Decoder
from tissu_core.models.score import Score, score_windows
from tissu_core.text.tokenizer import Tokenizer


def iter_windows(ids: Sequence[int], context: int, stride: int) -> Iterator[tuple[list[int], int]]:
    """Windows of up to ``context`` + 1 ids that score every id but the first exactly once.

    Yields each window with how many of its predictions an earlier window made already.

    >>> list(iter_windows([0, 1, 2, 3, 4], context=3, stride=2))
    [([0, 1, 2, 3], 0), ([2, 3, 4], 1)]
    """
    begin, scored = 0, 0
    last = len(ids) - 1
    while scored < last:
        end = min(begin + context, last)
        yield list(ids[begin : end + 1]), scored - begin
        scored = end
        begin = min(begin + stride, last)


def score_document(
    model: Decoder, tokenizer: Tokenizer, text: str, token_bytes: Tensor, stride: int
) -> Iterator[Score]:
    """Scores of a document's windows, read after the token that begins a text.

    ``stride`` is how far windows move: with the whole context none overlap; a smaller one lets
    each token read at least ``context - stride`` others, at the cost of more windows.
    """
    ids = [tokenizer.start_id, *tokenizer.encode(text)]
    device = token_bytes.device
    context = model.config.max_position_embeddings
    for window, first in iter_windows(ids, context, stride):
        windows = torch.tensor([window], device=device)
        yield score_windows(model, windows, token_bytes, first)
    # The bytes are the text's own, whatever a tokenizer adds (a first space) or normalises away.
    yield Score(num_bytes=len(text.encode()) - int(token_bytes[ids].sum()))
