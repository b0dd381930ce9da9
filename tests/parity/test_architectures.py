"""Every pair of architecture options builds, learns from the uniform guess on, and has one answer.

Of the thousands of combinations these few hold each pair of values at least once.
"""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from tests.samples import CPU, VOCAB_SIZE, make_config, make_model, random_ids
from tissu_core.config.model import FEED_FORWARDS, NORMS, POSITIONS, ModelConfig
from tissu_core.config.shape import INIT_SCHEMES
from tissu_core.models.build import build_empty, build_model
from tissu_core.models.count import num_parameters
from tissu_core.training.objectives.next_token import next_token

OPTIONS: dict[str, tuple[object, ...]] = {
    "feed_forward": FEED_FORWARDS,
    "position_embedding": POSITIONS,
    "norm": NORMS,
    "sliding_window": (None, 6),
    "tie_word_embeddings": (False, True),
    "qk_norm": (False, True),
    "use_bias": (False, True),
    "num_key_value_heads": (4, 2),
    "sliding_layers": (None, (1,)),
    "rope_layers": (None, (0,)),
    "partial_rotary_factor": (1.0, 0.5),
    "projection_bias": ((), ("qkv",), ("o", "mlp")),
    "has_post_norms": (False, True),
    "attn_logit_softcapping": (None, 2.0),
    "final_logit_softcapping": (None, 3.0),
    "query_pre_attn_scalar": (None, 20),
    "embedding_multiplier": (None, 1.5),
    "rope_local_base_freq": (None, 100.0),
    "num_local_experts": (0, 4),
    "init": INIT_SCHEMES,
}


def pairwise(options: dict[str, tuple[object, ...]]) -> list[dict[str, object]]:
    """Combinations in which every two values of two options meet, chosen greedily."""
    names = list(options)
    pairs = {
        ((a, x), (b, y))
        for a, b in itertools.combinations(names, 2)
        for x in options[a]
        for y in options[b]
    }
    chosen = []
    while pairs:
        row: dict[str, object] = dict(min(pairs, key=repr))
        for name in names:
            if name not in row:
                row[name] = max(options[name], key=lambda v: len(_met({**row, name: v}) & pairs))
        chosen.append(row)
        pairs -= _met(row)
    return chosen


def _met(row: dict[str, object]) -> set[object]:
    ordered = [(name, row[name]) for name in OPTIONS if name in row]
    return set(itertools.combinations(ordered, 2))


ROWS = pairwise(OPTIONS)


def config_of(row: dict[str, object]) -> ModelConfig:
    shape = {name: value for name, value in row.items() if name != "init"}
    return make_config(**shape, num_experts_per_tok=2 if row["num_local_experts"] else 0)


def test_every_pair_is_met() -> None:
    met = set().union(*(_met(row) for row in ROWS))
    values = [len(values) for values in OPTIONS.values()]
    assert len(met) == sum(a * b for a, b in itertools.combinations(values, 2))
    assert len(ROWS) < 60


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row.values())))
def test_a_fresh_model_is_finite_and_guesses_uniformly(row: dict[str, object]) -> None:
    config = config_of(row)
    model = build_model(config, device=CPU, seed=3, init=str(row["init"]))
    output = next_token(model, random_ids(4, 33))
    loss = output.loss_sum / output.num_targets
    assert loss.item() == pytest.approx(math.log(VOCAB_SIZE), rel=0.05)
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert num_parameters(config) == sum(p.numel() for p in build_empty(config).parameters())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row.values())))
def test_training_inference_and_cached_paths_agree(row: dict[str, object]) -> None:
    model = make_model(config_of(row))
    ids = random_ids(2, 40)
    with torch.enable_grad():
        trained = model(ids).detach()
    cache = model.new_cache()
    with torch.no_grad():
        used = model(ids)
        parts = [model(part, cache) for part in ids.split([9, 1, 1, 17, 1, 11], dim=1)]
    torch.testing.assert_close(trained, used, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(torch.cat(parts, dim=1), used, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("position_embedding", POSITIONS)
@pytest.mark.parametrize("time", [30, 300])  # one block of queries, and several
def test_a_token_beyond_window_times_layers_changes_nothing(
    position_embedding: str, time: int
) -> None:
    config = make_config(
        sliding_window=5, position_embedding=position_embedding, max_position_embeddings=300
    )
    model = make_model(config)
    ids = random_ids(1, time)
    changed = ids.clone()
    changed[0, 3] = 16 + (ids[0, 3] - 15) % 300
    for is_training in (False, True):
        with torch.set_grad_enabled(is_training):
            moved = (model(ids) - model(changed)).detach().abs().amax(-1)[0]
        reach = 3 + config.num_hidden_layers * (5 - 1)
        assert moved[3 : reach + 1].max() > 1e-4
        assert moved[reach + 1 :].max() == 0


def test_the_cache_of_a_window_stays_small() -> None:
    model = make_model(make_config(sliding_window=8, max_position_embeddings=512))
    cache = model.new_cache()
    ids = random_ids(1, 512)
    with torch.no_grad():
        whole = model(ids)
        parts = [model(part, cache) for part in ids.split([40, *[1] * 472], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=2e-5, rtol=1e-4)
    held = cache.layers[0]._keys
    assert held is not None
    assert held.shape[2] == 16
    assert cache.length == 512


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "relu", "relu2"])
def test_an_ungated_block_is_two_products_around_its_activation(name: str) -> None:
    block = make_model(make_config(feed_forward=name)).model.layers[0].mlp
    x = torch.randn(3, 32, requires_grad=True)
    theirs = {
        "gelu": lambda y: F.gelu(y, approximate="none"),
        "gelu_tanh": lambda y: F.gelu(y, approximate="tanh"),
        "relu": torch.relu,
        "relu2": lambda y: torch.where(y > 0, y * y, torch.zeros_like(y)),
    }
    expected = theirs[name](x @ block.up_proj.weight.T) @ block.down_proj.weight.T
    torch.testing.assert_close(block(x), expected, atol=1e-6, rtol=1e-6)
    upstream = torch.randn(3, 32)
    (ours,) = torch.autograd.grad(block(x), x, upstream)
    (reference,) = torch.autograd.grad(expected, x, upstream)
    torch.testing.assert_close(ours, reference, atol=1e-6, rtol=1e-5)
