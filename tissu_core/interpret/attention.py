"""What each head of attention reads of a text, in figures and as it is."""

import math
from collections.abc import Collection, Iterable

import torch
from torch import Tensor

from tissu_core.compress.finite import require_finite
from tissu_core.events.views import HeadKind, HeadScored, HeadShown
from tissu_core.interpret.numbers import require_numbers
from tissu_core.models.decoder import Decoder
from tissu_core.models.observe import observe_attention

LOCAL = 4
"""Tokens that are near: the one itself and those right before it. Measured where they are less than
half of what can be read."""
MOST_READ = 3
_MAINLY = 0.5
"""The share of what it reads from which a head is named by it."""
_DIGITS = 6
Head = tuple[int, int]
"""A layer's number, and a head's in it."""


@torch.inference_mode()
def see_heads(
    model: Decoder, ids: Tensor, scored: Iterable[Head], shown: Collection[Head], span: range
) -> tuple[list[HeadScored], list[HeadShown]]:
    """The scores of some heads, and what those of ``shown`` read of the tokens of ``span``.

    One layer's shares are held at a time.

    Shapes: ids (1, T).

    Raises:
        InputError: If a weight is no number.
    """
    require_finite(model, "spoils all that comes behind it")
    model.eval()
    scores: dict[Head, HeadScored] = {}
    parts: dict[Head, HeadShown] = {}
    heads_of: dict[int, set[int]] = {}
    for layer, head in (*scored, *shown):
        heads_of.setdefault(layer, set()).add(head)
    follows = following(ids[0])

    def look(layer: int, shares: Tensor) -> None:
        require_numbers(shares, f"layer {layer}", model)
        for head in sorted(heads_of[layer]):
            scores[layer, head] = score_head(shares[0, head], follows, layer, head)
            if (layer, head) in shown:
                parts[layer, head] = _show(shares[0, head], span, layer, head)

    wanted = {layer: lambda shares, layer=layer: look(layer, shares) for layer in heads_of}
    with observe_attention(model, wanted):
        model.model(ids)
    return [scores[key] for key in sorted(scores)], [parts[key] for key in sorted(parts)]


def following(ids: Tensor) -> Tensor:
    """Of each token, those that came right after the same token earlier; never it itself.

    An induction head reads them. Source: Olsson et al. 2022, arXiv:2209.11895.

    Shapes: ids (T,); returns booleans (T, T).
    """
    is_same = (ids[:, None] == ids).tril(-1)
    return torch.nn.functional.pad(is_same, (1, 0))[:, :-1].tril(-1)


def score_head(shares: Tensor, follows: Tensor, layer: int, head: int) -> HeadScored:
    """The means over a text of what a head reads; its first token, which reads itself, apart.

    Shapes: shares (T, T), of which each row sums to 1; follows as ``following`` gives it.
    """
    rows = shares[1:] if len(shares) > 1 else shares
    previous = shares.diagonal(-1).mean().item() if len(shares) > 1 else 0.0
    comes_again = follows.any(1)
    induction = (shares * follows).sum(1)[comes_again].mean().item()
    local = (shares.tril() - shares.tril(-LOCAL)).sum(1)[2 * LOCAL :].mean().item()
    figures = {
        "previous": previous,
        "induction": None if math.isnan(induction) else induction,
        "first": rows[:, 0].mean().item(),
        "local": None if math.isnan(local) else local,
    }
    return HeadScored(
        layer=layer,
        head=head,
        kind=_kind(figures),
        entropy=torch.special.entr(rows).sum(1).mean().item() / math.log(2),
        **figures,  # type: ignore[arg-type]
    )


def _kind(figures: dict[str, float | None]) -> HeadKind:
    """By what it reads mainly; where several fit, the one that says more of what it does."""
    for kind in ("previous", "induction", "first", "local"):
        if (figures[kind] or 0.0) >= _MAINLY:
            return kind
    return "broad"


def _show(shares: Tensor, span: range, layer: int, head: int) -> HeadShown:
    rows = shares[span.start : span.stop]
    parts = rows[:, span.start : span.stop].tolist()
    most = rows.topk(min(MOST_READ, rows.shape[1]))
    read = zip(most.indices.tolist(), most.values.tolist(), strict=True)
    return HeadShown(
        layer=layer,
        head=head,
        shares=tuple(
            tuple(round(share, _DIGITS) for share in row[: number + 1])
            for number, row in enumerate(parts)
        ),
        earlier=tuple(round(x, _DIGITS) for x in rows[:, : span.start].sum(1).tolist()),
        most=tuple(
            tuple(
                (token, round(share, _DIGITS)) for token, share in zip(*row, strict=True) if share
            )
            for row in read
        ),
    )
