"""Integrated gradients and Shapley values against those of captum."""

from collections.abc import Generator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.samples import make_config, make_model, random_ids
from tissu_core.interpret.attribution.integrated_gradients import iter_integrated_gradients
from tissu_core.interpret.attribution.question import Attribution, Question
from tissu_core.interpret.attribution.shapley import iter_shapley

captum = pytest.importorskip("captum.attr")
NEUTRAL, COUNT = 17, 7
SHAPES = {
    "rope": {},
    "gemma": {
        "tie_word_embeddings": True,
        "embedding_multiplier": 5.5,
        "final_logit_softcapping": 4.0,
        "has_post_norms": True,
    },
    "learned": {"position_embedding": "learned", "norm": "layernorm", "qk_norm": False},
    "alibi": {"position_embedding": "alibi", "num_key_value_heads": 4},
}


def ask(shape: str, target: tuple[int, ...]) -> Question:
    model = make_model(make_config(**SHAPES[shape]))
    ids = random_ids(COUNT + 1).tolist()
    return Question(model, ids, target, NEUTRAL, [range(i, i + 1) for i in range(1, COUNT + 1)])


def of(found: Generator[int, None, Attribution]) -> Attribution:
    while True:
        try:
            next(found)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def answer(question: Question, inputs: Tensor) -> Tensor:
    """log p of the target by the whole forward of the decoder."""
    log_probs = question.model(inputs)[:, -len(question.target) :].log_softmax(-1)
    picked = [log_probs[:, place, id] for place, id in enumerate(question.target)]
    return torch.stack(picked).sum(0)


def steps_of(found: Attribution) -> int:
    """Of the last time around: 32, 64, ... were done one after the other."""
    return (found.readings - 2 + 32) // 2


@pytest.mark.parametrize("target", [(60,), (60, 61)])
@pytest.mark.parametrize("shape", SHAPES)
def test_integrated_gradients_from_a_token(shape: str, target: tuple[int, ...]) -> None:
    question = ask(shape, target)
    found = of(iter_integrated_gradients(question))
    inputs = torch.tensor([[*question.ids, *target[:-1]]])
    base = inputs.clone()
    base[:, 1 : COUNT + 1] = NEUTRAL
    embed = question.model.model.embed_tokens
    reference = captum.LayerIntegratedGradients(lambda ids: answer(question, ids), embed)
    theirs = reference.attribute(inputs, base, n_steps=steps_of(found)).sum(-1)[0]
    assert found.values == pytest.approx(theirs[1 : COUNT + 1].tolist(), abs=1e-3)
    assert not theirs[[0, *range(COUNT + 1, len(theirs))]].any()
    assert max(map(abs, found.values)) > 0.05, "nothing was compared"


@pytest.mark.parametrize("shape", SHAPES)
def test_integrated_gradients_from_the_mean_embedding(shape: str) -> None:
    question = replace(ask(shape, (60, 61)), neutral=None)
    found = of(iter_integrated_gradients(question))
    inputs = torch.tensor([[*question.ids, 60]])
    embed = question.model.model.embed_tokens
    end = embed(inputs).detach()
    base = end.clone()
    base[:, 1 : COUNT + 1] = embed.weight.detach().mean(0)

    def from_embeddings(x: Tensor) -> Tensor:
        hook = embed.register_forward_hook(lambda module, ids, out: x)
        try:
            return answer(question, inputs.expand(len(x), -1))
        finally:
            hook.remove()

    reference = captum.IntegratedGradients(from_embeddings)
    theirs = reference.attribute(end, base, n_steps=steps_of(found)).sum(-1)[0]
    assert found.values == pytest.approx(theirs[1 : COUNT + 1].tolist(), abs=1e-3)
    assert found.gap < 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_shapley_values(shape: str) -> None:
    question = ask(shape, (60, 61))
    question = replace(question, ids=question.ids[:5], parts=question.parts[:4])
    found = of(iter_shapley(question, 16, 0))
    ids = torch.tensor([question.ids])

    def of_ids(rows: Tensor) -> Tensor:
        with torch.no_grad():
            begin, end = ids[:, :1].expand(len(rows), 1), torch.full((len(rows), 1), 60)
            return answer(question, torch.cat([begin, rows, end], 1))

    reference = captum.ShapleyValues(of_ids)
    theirs = reference.attribute(ids[:, 1:], NEUTRAL, perturbations_per_eval=4)[0]
    assert found.values == pytest.approx(theirs.tolist(), abs=1e-3)
