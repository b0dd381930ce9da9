"""The bytes that a step must read."""

from tests.samples import make_config, make_model
from tissu_core.evals.speed import weight_bytes


def test_an_embedding_that_is_looked_up_is_not_read() -> None:
    tied, own = (
        weight_bytes(make_model(make_config(tie_word_embeddings=is_tied)))
        for is_tied in (True, False)
    )
    assert tied == own > 0


def test_of_a_mixture_only_the_experts_asked_for_are_read() -> None:
    model = make_model(make_config(num_local_experts=8, num_experts_per_tok=2))
    moe = model.model.layers[0].mlp
    expert = sum(p.nbytes for p in moe.experts[0].parameters())
    layers = len(model.model.layers)
    sizes = [weight_bytes(model, batch) for batch in (1, 2, 4, 9)]
    assert sizes[1] - sizes[0] == 2 * expert * layers
    assert sizes[2] - sizes[1] == 4 * expert * layers
    assert sizes[3] == sizes[2]
