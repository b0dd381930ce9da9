"""What modules compute is seen, changed if asked, and nothing stays behind."""

import torch

from tests.samples import make_config, make_model, random_ids
from tissu_core.models.observe import observe, observe_attention


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


def test_shares_of_the_layers_asked_for_are_seen_and_nothing_stays_behind() -> None:
    model, ids, seen = make_model(make_config()), random_ids(1, 9), []
    plain = model(ids)
    with observe_attention(model, {1: seen.append}):
        assert torch.equal(model(ids), plain)
    assert [shares.shape for shares in seen] == [(1, 4, 9, 9)]
    model(ids)
    assert len(seen) == 1
    assert not any(module._forward_pre_hooks for module in model.modules())
