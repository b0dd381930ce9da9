"""Every way to compute attention gives the same numbers, and documents in one row are alone."""

import pytest
import torch

from tests.samples import make_config, make_model, random_ids
from tissu_core.config.model import ModelConfig
from tissu_core.models.decoder import Decoder
from tissu_core.runtime.precision import autocast
from tissu_core.training.objectives.next_token import next_token

START = 0
SHAPES = {
    "grouped": {},
    "window": {"sliding_window": 6},
    "slopes": {"position_embedding": "alibi"},
    "capped": {"attn_logit_softcapping": 0.5},
    "capped window": {"attn_logit_softcapping": 0.5, "sliding_window": 6},
    "learned": {"position_embedding": "learned", "num_key_value_heads": 4},
}
WAYS = ["auto", "sdpa", "flash", "flex"]
quiet = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


@pytest.fixture(autouse=True)
def flex_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch refuses gradients of FlexAttention on a CPU; written out, it has them all the same."""
    monkeypatch.setattr("torch.nn.attention.flex_attention._validate_device", lambda *given: None)


def shape(name: str) -> ModelConfig:
    return make_config(**SHAPES[name])


def rows(*lengths: int, batch: int = 3, seed: int = 0) -> torch.Tensor:
    """Documents of these lengths in each row, and the rest of one that began before."""
    ids = random_ids(batch, sum(lengths), seed=seed)
    ids[:, torch.tensor(lengths).cumsum(0)[:-1]] = START
    return ids


def step(model: Decoder, way: str, windows: torch.Tensor) -> dict[str, torch.Tensor]:
    model.set_attention(way)
    model.zero_grad(set_to_none=True)
    hidden = model.model(windows[:, :-1])
    (next_token(model, windows).loss_sum / windows[:, 1:].numel()).backward()
    return {"hidden": hidden.detach()} | {
        name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None
    }


@quiet
@pytest.mark.parametrize("is_apart", [False, True])
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_equals_the_plain_one_forward_and_backward(
    way: str, name: str, is_apart: bool
) -> None:
    if way == "flash" and "capped" in name:
        pytest.skip("no such kernel has soft caps: a run is refused")
    model, windows = make_model(shape(name)), rows(9, 1, 14, 9)
    if is_apart:
        model.read_documents_apart(START)
    expected = step(model, "eager", windows)
    found = step(model, way, windows)
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, atol=1e-5, rtol=1e-5, msg=key)


@quiet
@pytest.mark.parametrize("way", WAYS)
def test_every_way_is_near_the_plain_one_in_bf16(way: str) -> None:
    model = make_model(shape("grouped"))
    attention = model.model.layers[0].self_attn
    x, upstream = torch.randn(2, 3, 33, 32)

    def attend(implementation: str) -> tuple[torch.Tensor, ...]:
        model.set_attention(implementation)
        leaf = x.clone().requires_grad_()
        with autocast(model.device, "bf16"):
            out = attention(leaf, None)
        return out.float(), *torch.autograd.grad(out, (leaf, *attention.parameters()), upstream)

    for found, expected in zip(attend(way), attend("eager"), strict=True):
        largest = expected.abs().max().clamp(min=1.0)
        assert (found - expected).abs().max() <= 2e-2 * largest


@quiet
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("way", ["auto", "eager", "flex"])
def test_documents_in_one_row_are_read_as_if_each_were_alone(way: str, name: str) -> None:
    model = make_model(shape(name))
    model.set_attention(way)
    ids = rows(9, 1, 14, 9, batch=1)
    alone = torch.cat([model.model(part) for part in ids.split([9, 1, 14, 9], dim=1)], dim=1)
    mixed = model.model(ids)
    model.read_documents_apart(START)
    torch.testing.assert_close(model.model(ids), alone, atol=1e-5, rtol=1e-5)
    assert (mixed - alone).abs().max() > 1e-2
    with torch.no_grad():  # as validation reads
        torch.testing.assert_close(model.model(ids), alone, atol=1e-5, rtol=1e-5)


def test_the_gradient_of_documents_in_one_row_is_that_of_each_alone() -> None:
    """The loss of what begins the next document is part of the one before."""
    model = make_model(shape("grouped"))
    windows = rows(9, 14, 9, batch=1)
    for part in (windows[:, :10], windows[:, 9:24], windows[:, 23:]):
        next_token(model, part).loss_sum.backward()
    expected = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    model.read_documents_apart(START)
    next_token(model, windows).loss_sum.backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, expected[name], atol=1e-4, rtol=1e-4)


def test_rows_of_one_document_are_as_they_were() -> None:
    model = make_model(shape("grouped"))
    ids = rows(20)
    expected = model.model(ids)
    model.read_documents_apart(START)
    torch.testing.assert_close(model.model(ids), expected, atol=1e-5, rtol=1e-5)


def test_what_is_generated_reads_all_of_its_prompt() -> None:
    model = make_model(shape("grouped"))
    ids = rows(5, 8)
    with torch.no_grad():
        expected = model(ids, model.new_cache())
        model.read_documents_apart(START)
        assert torch.equal(model(ids, model.new_cache()), expected)


@quiet
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
@pytest.mark.parametrize("way", ["auto", "flash", "flex"])
@pytest.mark.parametrize("is_apart", [False, True])
def test_a_compiler_traces_each_in_one_piece(way: str, is_apart: bool) -> None:
    torch.compiler.reset()
    model = make_model(shape("window"))
    model.set_attention(way)
    if is_apart:
        model.read_documents_apart(START)
    ids = rows(9, 14)
    expected = model.model(ids)
    traced = torch.compile(model.model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(traced(ids), expected, atol=1e-5, rtol=1e-5)
