"""What modules compute is seen, changed if asked, and nothing stays behind."""

import torch

from tests.samples import make_config, make_model, random_ids
from tissu_core.models.observe import observe


def test_the_streams_after_each_block_are_seen() -> None:
    model, ids, seen = make_model(make_config()), random_ids(1, 9), {}
    wanted = {f"model.layers.{i}": lambda x, i=i: seen.update({i: x}) for i in range(2)}
    with observe(model, wanted):
        logits = model(ids)
    torch.testing.assert_close(model.lm_head(model.model.norm(seen[1])), logits)
    seen.clear()
    model(ids)
    assert not seen


def test_what_is_returned_goes_on() -> None:
    model, ids = make_model(make_config()), random_ids(1, 9)
    with observe(model, {"model.norm": torch.zeros_like}):
        assert not model(ids).any()
    assert model(ids).any()
