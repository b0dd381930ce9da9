import pytest
import torch

from tests.core.training.loop import make_parts, make_settings
from tests.samples import make_config, make_model, random_ids
from tissu_core.checkpoint.training_state import TrainState
from tissu_core.errors import ConfigError
from tissu_core.models.decoder import Decoder
from tissu_core.runs.train.frozen import freeze_matching, frozen_notices
from tissu_core.training.optim import build_optimizer
from tissu_core.training.trainer import Trainer


def train_frozen(model: Decoder, patterns: str, optimizer: str) -> set[str]:
    """Three steps; returns the names of the parameters that the optimizer has."""
    freeze_matching(model, patterns)
    parts = build_optimizer(model, name=optimizer, learning_rate=0.01, weight_decay=0.1, width=32)
    batches = [random_ids(4, 17, seed=step) for step in range(3)]
    settings = make_settings(steps=3)
    trainer = Trainer(model, parts, settings, make_parts(batches.__getitem__), TrainState())
    list(trainer.run(lambda: False))
    return {name.rpartition("/")[0] for name in parts.state_tensors()}


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        ("embed", ["model.embed_tokens."]),
        ("head, norm", ["lm_head.", "model.norm."]),
        ("layers.0-1", ["model.layers.0.", "model.layers.1."]),
        ("layers.*.attn", ["model.layers.0.self_attn.", "model.layers.1.self_attn."]),
        ("layers.1.mlp.gate", ["model.layers.1.mlp.gate_proj."]),
        ("layers", ["model.layers."]),
    ],
)
def test_frozen_tensors_are_equal_to_the_bit_and_no_optimizer_has_them(
    patterns: str, frozen: list[str], optimizer: str
) -> None:
    model = make_model(make_config())
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimized = train_frozen(model, patterns, optimizer)
    for name, parameter in model.named_parameters():
        is_frozen = name.startswith(tuple(frozen))
        assert torch.equal(parameter, before[name]) == is_frozen, name
        assert (name in optimized) == (not is_frozen), name
        assert parameter.requires_grad == (not is_frozen)


def test_a_tied_head_is_frozen_with_the_embedding_and_that_is_said() -> None:
    config = make_config(tie_word_embeddings=True)
    model = make_model(config)
    before = model.model.embed_tokens.weight.detach().clone()
    optimized = train_frozen(model, "head", "muon")
    assert torch.equal(model.model.embed_tokens.weight, before)
    assert torch.equal(model.lm_head.weight, before)
    assert "model.embed_tokens.weight" not in optimized
    (notice,) = frozen_notices(config, "head")
    assert "frozen together" in notice.text
    (notice,) = frozen_notices(make_config(), "head")
    assert "together" not in notice.text


def test_what_matches_nothing_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(ConfigError) as caught:
        freeze_matching(make_model(make_config()), "embed,layers.0.atention")
    assert "layers.0.self_attn" in caught.value.hint


@pytest.mark.parametrize("patterns", ["**", "embed,head,norm,layers"])
def test_a_model_that_is_all_frozen_is_refused(patterns: str) -> None:
    with pytest.raises(ConfigError, match="nothing to learn"):
        list(frozen_notices(make_config(), patterns))
