"""A model over several processes ends with the weights of one: parts of its layers, or stages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.parity.ranks import (
    DTYPES,
    TOLERANCES,
    Case,
    one_thread,
    require_equal,
    train_together,
    trained,
)
from tissu_core.parallel.ranks import ALONE

TIED = {"tie_word_embeddings": True}
GPT2 = {
    "norm": "layernorm",
    "use_bias": True,
    "qk_norm": False,
    "position_embedding": "learned",
    "feed_forward": "gelu",
    "num_key_value_heads": 4,
    "tie_word_embeddings": True,
}
ALIBI = {"position_embedding": "alibi", "sliding_window": 4, "use_bias": True, "norm": "layernorm"}
GEMMA = {"has_post_norms": True, "final_logit_softcapping": 20.0, "embedding_multiplier": 3.0}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
TWO = [
    *(
        Case(dtype=dtype, micro_batch=micro, changes=changes, **{side: 2})
        for dtype in DTYPES
        for side in ("tp", "pp")
        for micro in (8, 3)  # the last of three is smaller
        for changes in ({}, TIED)
    ),
    Case(tp=2, changes=GPT2, dtype="fp64"),
    Case(tp=2, changes=ALIBI, dtype="fp64", documents=True),
    Case(tp=2, changes=GEMMA, dtype="fp64", recompute="block", optimizer="sgd"),
    Case(pp=2, changes=GPT2, dtype="fp64", micro_batch=2),
    Case(pp=2, changes=ALIBI, dtype="fp64", micro_batch=2, documents=True),
    Case(pp=2, changes=GEMMA | {"num_hidden_layers": 3}, dtype="fp64", micro_batch=1),
    Case(pp=2, changes=EXPERTS, dtype="fp64", micro_batch=2, recompute="ffn"),
    Case(pp=2, optimizer="muon", dtype="fp64", micro_batch=2),
    *(
        Case(dtype="fp64", micro_batch=3, changes=TIED, **side, **more)
        for side in ({"tp": 2}, {"pp": 2})
        for more in ({"bad_step": 4}, {"frozen": ("model.embed", "model.layers.0")})
    ),
]
FOUR = [
    Case(tp=2, micro_batch=2, changes=TIED, dtype="fp64"),
    Case(tp=2, shard="optim", micro_batch=2),
    Case(tp=2, shard="grad", micro_batch=4, changes=TIED, dtype="fp64"),
    Case(tp=2, shard="full", micro_batch=2),
    Case(pp=2, micro_batch=1, changes=TIED, dtype="fp64"),
    Case(pp=2, shard="optim", micro_batch=1, optimizer="muon"),
    Case(pp=2, micro_batch=1, changes=EXPERTS, dtype="fp64"),
    Case(tp=2, pp=2, micro_batch=3, changes=TIED, dtype="fp64"),
    Case(pp=4, micro_batch=1, changes=TIED | {"num_hidden_layers": 5}, dtype="fp64"),
]


@pytest.fixture(autouse=True)
def alone_in_one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_together(tmp_path_factory.mktemp("two"), 2, TWO)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_together(tmp_path_factory.mktemp("four"), 4, FOUR)


@pytest.mark.parametrize("case", TWO, ids=str)
def test_two_processes_come_to_the_weights_of_one(two: Path, case: Case) -> None:
    found = torch.load(two / f"{TWO.index(case)}.pt", weights_only=True)
    require_equal(found, trained(ALONE, case), TOLERANCES[case.dtype])


@pytest.mark.slow
@pytest.mark.parametrize("case", FOUR, ids=str)
def test_four_processes_come_to_the_weights_of_one(four: Path, case: Case) -> None:
    found = torch.load(four / f"{FOUR.index(case)}.pt", weights_only=True)
    require_equal(found, trained(ALONE, case), TOLERANCES[case.dtype])
