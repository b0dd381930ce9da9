import math

import pytest
import torch

from tests.samples import VOCAB_SIZE, random_ids
from tissu_core.models.decoder import Decoder
from tissu_core.models.score import Score, score_windows


def test_scores_of_parts_add_up() -> None:
    total = Score(3.0, 2, 8) + Score(1.0, 2, 0)
    assert total == Score(4.0, 4, 8)
    assert total.loss == 1.0
    assert total.perplexity == pytest.approx(math.e)
    assert total.bits_per_byte == pytest.approx(0.5 / math.log(2))


def test_an_empty_score_and_a_terrible_one_are_numbers() -> None:
    assert Score().loss == 0.0
    assert math.isfinite(Score(1e9, 1, 1).perplexity)


def test_control_tokens_are_read_and_not_scored(tiny_model: Decoder) -> None:
    windows = random_ids(2, 9)
    windows[:, 4] = 0
    token_bytes = torch.full((VOCAB_SIZE,), 3)
    token_bytes[:16] = 0
    found = score_windows(tiny_model, windows, token_bytes)
    assert (found.num_tokens, found.num_bytes) == (14, 42)


def test_scoring_may_begin_later_in_each_window(tiny_model: Decoder) -> None:
    windows, token_bytes = random_ids(2, 9), torch.ones(VOCAB_SIZE, dtype=torch.long)
    whole = score_windows(tiny_model, windows, token_bytes)
    early = score_windows(tiny_model, windows[:, :6], token_bytes)
    windows[:, :6] = ~windows[:, :6]
    late = score_windows(tiny_model, windows, token_bytes)
    assert (early + late).num_tokens == whole.num_tokens
    assert (early + late).nll == pytest.approx(whole.nll, rel=1e-5)


def test_a_window_with_nothing_to_predict_scores_nothing(tiny_model: Decoder) -> None:
    token_bytes = torch.ones(VOCAB_SIZE, dtype=torch.long)
    assert score_windows(tiny_model, random_ids(1, 1), token_bytes) == Score()


def test_scoring_leaves_no_gradients(tiny_model: Decoder) -> None:
    score_windows(tiny_model, random_ids(1, 9), torch.ones(VOCAB_SIZE, dtype=torch.long))
    assert all(parameter.grad is None for parameter in tiny_model.parameters())
