from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.samples import make_config, make_model, random_ids
from tissu_core.models.build import build_empty
from tissu_core.models.count import (
    kv_bytes_per_token,
    kv_cache_bytes,
    model_flops_per_token,
    num_parameters,
    train_bytes,
    train_flops_per_token,
)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": True},
        {"num_key_value_heads": 4},
        {"num_key_value_heads": 1, "head_dim": 16},
        {"num_hidden_layers": 5, "vocab_size": 1000},
        {"has_post_norms": True, "feed_forward": "geglu_tanh"},
        {"num_local_experts": 5, "num_experts_per_tok": 2},
        {"num_local_experts": 3, "num_experts_per_tok": 1, "use_bias": True, "norm": "layernorm"},
    ],
)
def test_parameters_are_those_of_the_module(changes: dict[str, object]) -> None:
    config = make_config(**changes)
    assert num_parameters(config) == sum(p.numel() for p in build_empty(config).parameters())


@pytest.mark.parametrize("experts", [{}, {"num_local_experts": 6, "num_experts_per_tok": 2}])
def test_operations_are_those_that_are_counted(experts: dict[str, int]) -> None:
    config = make_config(num_key_value_heads=4, **experts)
    model = make_model(config)
    ids = random_ids(1, 64)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(ids)
    # As plain products attention computes all scores; the formula counts the causal half of them.
    attended = 2 * config.num_hidden_layers * 64 * 32
    forward = counter.get_total_flops() / 64 - attended
    assert train_flops_per_token(config) == pytest.approx(3 * forward, rel=0.02)


def test_utilisation_counts_by_the_formula_of_palm() -> None:
    """Hand numbers of nanoGPT's 124M: N without positions and norms, L 12, H 12, Q 64, T 1024."""
    config = make_config(
        num_hidden_layers=12,
        hidden_size=768,
        num_attention_heads=12,
        num_key_value_heads=12,
        head_dim=64,
        intermediate_size=3072,
        vocab_size=50304,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        norm="layernorm",
        feed_forward="gelu",
        position_embedding="learned",
        qk_norm=False,
    )
    assert model_flops_per_token(config) == 6 * 123_568_128 + 12 * 12 * 12 * 64 * 1024
    untied = replace(config, tie_word_embeddings=False)
    assert model_flops_per_token(untied) == model_flops_per_token(config), "a look-up is no product"


def test_utilisation_counts_the_experts_that_a_token_meets_and_the_window_it_sees() -> None:
    config = make_config(num_local_experts=6, num_experts_per_tok=2)
    fewer = make_config(num_local_experts=6, num_experts_per_tok=1)
    expert = 3 * config.hidden_size * config.intermediate_size
    more = model_flops_per_token(config) - model_flops_per_token(fewer)
    assert more == 6 * config.num_hidden_layers * expert


def test_memory_grows_with_the_sequences() -> None:
    config = make_config()
    one, two, three = (train_bytes(config, sequences) for sequences in (1, 2, 3))
    assert 16 * num_parameters(config) < one < two
    assert three - two == pytest.approx(two - one)
    averaged = train_bytes(config, 1, is_averaged=True)
    assert averaged - one == pytest.approx(4 * num_parameters(config)), "one more copy"
    assert train_bytes(config, 3, is_fp32=True) - three > 0.5 * (three - two)
    less, least = train_bytes(config, 3, "ffn"), train_bytes(config, 3, "block")
    assert least < less < three


def test_a_cached_token_takes_what_the_cache_holds() -> None:
    config = make_config()
    model = make_model(config)
    cache = model.new_cache()
    model(random_ids(1, 10), cache)
    none = torch.empty(1, config.num_key_value_heads, 0, config.head_dim)
    held = sum(part.nbytes for layer in cache.layers for part in layer.append(none, none))
    assert held == 10 * kv_bytes_per_token(config)


def test_a_window_bounds_the_cache() -> None:
    config = make_config(max_position_embeddings=64)
    assert kv_cache_bytes(config) == 64 * kv_bytes_per_token(config)
    windowed = make_config(max_position_embeddings=64, sliding_window=5)
    cache = make_model(windowed).new_cache()
    for layer in cache.layers:
        for _ in range(60):
            layer.append(torch.zeros(1, 2, 1, 8), torch.zeros(1, 2, 1, 8))
    held = [t for layer in cache.layers for t in (layer._keys, layer._values) if t is not None]
    assert kv_cache_bytes(windowed) == sum(t.untyped_storage().nbytes() for t in held)


def test_layers_without_the_window_cache_and_read_the_whole_context() -> None:
    plain = make_config(max_position_embeddings=64)
    windowed = make_config(max_position_embeddings=64, sliding_window=5)
    mixed = make_config(max_position_embeddings=64, sliding_window=5, sliding_layers=(1,))
    assert [cache._room for cache in make_model(mixed).new_cache().layers] == [64, 10]
    for cost in (kv_cache_bytes, train_flops_per_token):
        assert 2 * cost(mixed) == cost(plain) + cost(windowed)
