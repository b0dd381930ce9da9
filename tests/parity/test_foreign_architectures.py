"""Every foreign architecture has the logits of transformers, in every way it can be read.

``pytest -rP tests/parity/test_foreign_architectures.py -k table`` prints the differences.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from tests.architectures import ARCHITECTURES, TIME, save
from tests.gguf_files import write_gguf
from tests.samples import CPU, random_ids
from tissu_core.checkpoint.model_directory import load_model, write_model_files
from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.generate import decode
from tissu_core.decoding.row import Row
from tissu_core.models.build import build_empty
from tissu_core.models.decoder import Decoder
from tissu_core.text.tokenizer import Tokenizer
from tissu_core.training.objectives.next_token import next_token

PADDING = torch.tensor([0, 27, 9, 36])
PLAIN = {
    "sliding_window": None,
    "sliding_layers": None,
    "rope_layers": None,
    "rope_scaling": None,
    "attn_logit_softcapping": None,
    "final_logit_softcapping": None,
    "query_pre_attn_scalar": None,
    "embedding_multiplier": None,
    "rope_local_base_freq": None,
}
"""What a field is where it does nothing."""
every = pytest.mark.parametrize("name", ARCHITECTURES)


@pytest.fixture
def pair(name: str, tiny_tokenizer: Tokenizer, tmp_path: Path) -> tuple[Decoder, PreTrainedModel]:
    """A model that transformers saved, as read here and as it was."""
    theirs = save(name, tmp_path / "theirs", tiny_tokenizer)
    return load_model(tmp_path / "theirs", CPU).model, theirs


def far(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference of two sets of logits, which are not all the same."""
    assert theirs.std() > 0.3
    return (ours - theirs).abs().max().item()


def token_by_token(model: Decoder, ids: Tensor, first: int) -> Tensor:
    """Logits of a growing text, of which the cache holds all but the newest token."""
    cache, found = model.new_cache(), []
    for end in range(first, ids.shape[1] + 1):
        if model.outgrows(cache, end - cache.length):
            cache = model.new_cache()
        found.append(model(ids[:, cache.length : end], cache, last_only=True))
    return torch.cat(found, dim=1)


def growing(theirs: PreTrainedModel, ids: Tensor, first: int) -> Tensor:
    """Logits of every text of ``first`` tokens and more, of which longrope turns each anew."""
    if theirs.config.to_dict().get("original_max_position_embeddings") is None:
        whole: Tensor = theirs(ids).logits
        return whole[:, first - 1 :]
    ends = range(first, ids.shape[1] + 1)
    return torch.cat([theirs(ids[:, :end]).logits[:, -1:] for end in ends], dim=1)


def padded(theirs: PreTrainedModel, ids: Tensor, is_real: Tensor) -> Tensor:
    positions = (is_real.cumsum(1) - 1).clamp(min=0)
    more = {} if theirs.config.model_type == "mpt" else {"position_ids": positions}
    logits: Tensor = theirs(ids, attention_mask=is_real.long(), **more).logits
    return logits


@every
@torch.no_grad()
def test_table_of_differences(
    name: str, pair: tuple[Decoder, PreTrainedModel], tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model, theirs = pair
    ids, is_real = random_ids(4, TIME), torch.arange(TIME) >= PADDING[:, None]
    expected = theirs(ids).logits
    found = {
        "prefill": far(model(ids), expected),
        "cached": far(token_by_token(model, ids, 9), growing(theirs, ids, 9)),
        "padded": far(model(ids, padding=PADDING)[is_real], padded(theirs, ids, is_real)[is_real]),
    }
    gguf = ARCHITECTURES[name].gguf
    if gguf is not None:
        file = write_gguf(
            tmp_path / "model.gguf", tmp_path / "theirs", gguf, tokenizer=tiny_tokenizer
        )
        read = load_model(file, CPU)
        assert read.model.config == model.config
        assert read.end_ids == {0, 3}
        found["GGUF"] = far(read.model(ids), expected)
    print(f"{name:18}", *(f"{way} {difference:.1e}" for way, difference in found.items()))  # noqa: T201
    assert max(found.values()) < 1e-4


@every
@torch.no_grad()
def test_all_that_a_configuration_says_matters_here(
    name: str, pair: tuple[Decoder, PreTrainedModel]
) -> None:
    """A window, a scaling or a cap that changes no logit would be proved by nothing."""
    model, _ = pair
    ids, state = random_ids(2, TIME), model.state_dict()
    logits = model(ids)
    for field, plain in PLAIN.items():
        if getattr(model.config, field) == plain:
            continue
        other = build_empty(replace(model.config, **{field: plain}))
        other.load_state_dict(state, assign=True)
        assert (other.eval()(ids) - logits).abs().max() > 0.01, field


@every
@torch.no_grad()
def test_rows_of_a_batch_are_the_greedy_texts_of_transformers(
    name: str, pair: tuple[Decoder, PreTrainedModel]
) -> None:
    """Of each prompt alone; rows come and go, and longrope turns some of them anew."""
    model, theirs = pair
    prompts = [random_ids(1, length, seed=length) for length in (12, 1, 30, 5, 19)]
    config = DecodingConfig(greedy=True)
    rows = [Row(ids[0].tolist(), config, 9 + 4 * n) for n, ids in enumerate(prompts)]
    assert sum(1 for _ in decode(model, rows, 3)) == 85
    for row, ids in zip(rows, prompts, strict=True):
        read = ids.shape[1]
        assert torch.equal(row.history[:read], ids[0])
        expected = growing(theirs, row.history[None, :-1], read).argmax(-1)
        assert torch.equal(row.history[read:], expected[0])


@every
def test_gradients_are_theirs(name: str, pair: tuple[Decoder, PreTrainedModel]) -> None:
    model, theirs = pair
    windows = random_ids(3, 33)
    next_token(model.train(), windows).loss_sum.backward()
    logits = theirs(windows[:, :-1]).logits
    torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), windows[:, 1:].flatten(), reduction="sum"
    ).backward()
    ours = model.model.embed_tokens.weight.grad
    expected = theirs.get_input_embeddings().weight.grad
    assert ours is not None
    torch.testing.assert_close(ours, expected, atol=2e-3, rtol=1e-3)


@every
@torch.no_grad()
def test_what_is_saved_is_read_by_transformers_and_here(
    name: str, pair: tuple[Decoder, PreTrainedModel], tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model, theirs = pair
    target = tmp_path / "saved"
    target.mkdir()
    write_model_files(target, model, tiny_tokenizer)
    ids = random_ids(2, TIME)
    reopened = AutoModelForCausalLM.from_pretrained(target).eval()
    assert far(reopened(ids).logits, theirs(ids).logits) < 1e-4
    loaded = load_model(target, CPU).model
    assert loaded.config == model.config
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], tensor, atol=6e-8, rtol=0)
