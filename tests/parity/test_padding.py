"""Rows of unequal length read together, and each of them alone: the same numbers."""

import itertools

import pytest
import torch

from tests.samples import CPU, make_config, make_model, random_ids
from tissu_core.config.model import POSITIONS
from tissu_core.layers.masks import attention_mask, hide_padding
from tissu_core.models.decoder import Decoder

PADDING = torch.tensor([0, 9, 4, 17])
TIME = 20

grid = pytest.mark.parametrize(
    ("position_embedding", "window"), [*itertools.product(POSITIONS, [None, 1, 6])]
)


def make(position_embedding: str, window: int | None) -> Decoder:
    return make_model(
        make_config(position_embedding=position_embedding, sliding_window=window, qk_norm=False)
    )


def alone(model: Decoder, ids: torch.Tensor) -> list[torch.Tensor]:
    """The logits of each row without its padding: (T - padding, V)."""
    return [model(row[None, hidden:])[0] for row, hidden in zip(ids, PADDING.tolist(), strict=True)]


@grid
@pytest.mark.parametrize("is_training", [False, True])
def test_a_padded_row_has_the_logits_of_the_row_alone(
    position_embedding: str, window: int | None, *, is_training: bool
) -> None:
    model, ids = make(position_embedding, window), random_ids(4, TIME)
    with torch.set_grad_enabled(is_training):
        together = model(ids, padding=PADDING).detach()
        expected = [logits.detach() for logits in alone(model, ids)]
    assert together.isfinite().all()
    for row, logits in zip(together, expected, strict=True):
        assert (row[-len(logits) :] - logits).abs().max() < 1e-4


@grid
@pytest.mark.parametrize("cuts", [[1] * TIME, [18, 1, 1], [2, 11, 7]])
@torch.no_grad()
def test_a_padded_row_is_read_in_pieces_as_at_once(
    position_embedding: str, window: int | None, cuts: list[int]
) -> None:
    model, ids = make(position_embedding, window), random_ids(4, TIME)
    cache = model.new_cache()
    parts = [model(part, cache, padding=PADDING) for part in ids.split(cuts, dim=1)]
    for row, logits in zip(torch.cat(parts, dim=1), alone(model, ids), strict=True):
        assert (row[-len(logits) :] - logits).abs().max() < 1e-4


@grid
@torch.no_grad()
def test_rows_that_come_and_go_read_as_if_alone(
    position_embedding: str, window: int | None
) -> None:
    """Lengths 20, 11 and 3 come together, the longest goes, and 16 more tokens follow."""
    model = make(position_embedding, window)
    texts = [random_ids(1, length, seed=length) for length in (20, 11, 3)]
    more = random_ids(2, 16, seed=4)
    cache = model.new_cache()
    model(texts[0], cache)
    for text in texts[1:]:
        other = model.new_cache()
        model(text, other)
        cache.join(other)
    assert cache.length == 20
    cache.keep([2, 1], 11)
    found = [model(ids, cache, padding=torch.tensor([8, 0])) for ids in more.split([1, 1, 14], 1)]
    for row, text, ids in zip(torch.cat(found, 1), (texts[2], texts[1]), more, strict=True):
        expected = model(torch.cat([text, ids[None]], dim=1))[0, -16:]
        assert (row - expected).abs().max() < 1e-4


def test_without_padding_no_mask_is_built(
    tiny_model: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[torch.Tensor | None] = []
    attend = torch.nn.functional.scaled_dot_product_attention

    def spy(*args: torch.Tensor, attn_mask: torch.Tensor | None, **more: object) -> torch.Tensor:
        masks.append(attn_mask)
        return attend(*args, attn_mask=attn_mask, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", spy)
    cache = tiny_model.new_cache()
    with torch.no_grad():
        for part in random_ids(2, 9).split([7, 1, 1], dim=1):
            tiny_model(part, cache)
    assert masks == [None] * 6


def test_every_query_sees_itself_and_no_other_padding() -> None:
    mask = hide_padding(attention_mask(4, 6, None, (), CPU), torch.tensor([0, 3, 6]))
    assert mask.shape == (3, 1, 4, 6)
    for row, hidden in enumerate([0, 3, 6]):
        for query in range(4):
            slot = 2 + query
            seen = mask[row, 0, query].nonzero().flatten().tolist()
            assert seen == ([*range(hidden, slot + 1)] if slot >= hidden else [slot])
