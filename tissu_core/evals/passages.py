"""Documents in passages: of so many bytes, which all models share, or of so many tokens."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tissu_core.evals.perplexity import ScoredText
from tissu_core.models.score import Score
from tissu_core.text.tokenizer import Tokenizer

Places = npt.NDArray[np.int64]
Costs = npt.NDArray[np.float64]


class Passage(NamedTuple):
    """Tokens ``first`` to ``end``, the last not among them, which begin at a byte of the text."""

    first: int
    end: int
    byte: int
    score: Score


def byte_costs(scored: ScoredText, tokenizer: Tokenizer, size: int) -> tuple[Places, Costs]:
    """Passages of ``size`` bytes, the last as it comes: their bytes, and nats of their tokens.

    A token belongs where its text begins, so that any tokenizer fits the same passages.

    Shapes: returns (P,) and (P,).
    """
    total = len(scored.text.encode())
    edges: Places = np.append(np.arange(0, total, size), total)
    places = np.minimum(token_places(scored, tokenizer)[1:], max(0, total - 1)) // size
    nll = np.zeros(len(edges) - 1)
    np.add.at(nll, places, scored.nll[1:].astype(np.float64))
    return np.diff(edges), nll


def iter_passages(scored: ScoredText, tokenizer: Tokenizer, size: int) -> Iterator[Passage]:
    """Passages of ``size`` tokens side by side; what is left at the end joins the last, if it is
    less than half of one.
    """  # noqa: D205
    num_tokens = len(scored.ids) - 1
    if not num_tokens:
        return
    firsts = 1 + size * np.arange(max(1, (num_tokens + size // 2) // size))
    ends = np.append(firsts[1:], num_tokens + 1)
    places = np.append(token_places(scored, tokenizer), len(scored.text.encode()))
    nll = np.add.reduceat(scored.nll.astype(np.float64), firsts)
    counts = np.add.reduceat(scored.is_scored.astype(np.int64), firsts)
    for place, (first, end) in enumerate(zip(firsts.tolist(), ends.tolist(), strict=True)):
        begin, behind = int(places[first]), int(places[end])
        score = Score(float(nll[place]), int(counts[place]), behind - begin)
        yield Passage(first, end, begin, score)


def token_places(scored: ScoredText, tokenizer: Tokenizer) -> Places:
    """The byte of the text where each token begins, (1 + N,); that of the first is 0."""
    total = len(scored.text.encode())
    if not tokenizer.is_exact:
        told = _by_characters(scored, tokenizer)
        if told is not None:
            return told
    sizes = np.array([len(tokenizer.pieces[id]) for id in scored.ids.tolist()])
    sizes[0] = 0
    places: Places = np.cumsum(sizes) - sizes - int(tokenizer.drops_first_space)
    return places.clip(0, total)


def _by_characters(scored: ScoredText, tokenizer: Tokenizer) -> Places | None:
    """As the tokenizer itself tells it, where a text is not spelled as it is; None if not so."""
    encoding = tokenizer.backend.encode(scored.text, add_special_tokens=False)
    if len(encoding.ids) != len(scored.ids) - 1:
        return None
    ends = np.cumsum([0, *(len(character.encode()) for character in scored.text)])
    return np.array([0, *(ends[begin] for begin, _ in encoding.offsets)], dtype=np.int64)
