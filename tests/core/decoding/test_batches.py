"""A reply does not depend on what is decoded beside it."""

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.samples import make_config, make_model
from tissu_core.config.decoding import DecodingConfig
from tissu_core.decoding.batch import SHORT
from tissu_core.decoding.generate import decode, generate, generate_all
from tissu_core.decoding.reply import Reply
from tissu_core.decoding.row import Row
from tissu_core.events.replies import GenerationFinished, TokenGenerated
from tissu_core.models.decoder import Decoder
from tissu_core.text.tokenizer import Tokenizer

WAYS: list[dict[str, object]] = [
    {"greedy": True},
    {"seed": 5},
    {"seed": 5, "stop": ("e", "th")},
    {"greedy": True, "repetition_penalty": 1.3, "no_repeat_ngram": 2},
    {"seed": 9, "min_tokens": 3, "presence_penalty": 1.0, "ban_words": ("cloth",), "top_p": 0.9},
]
END_IDS = frozenset(range(100, 108))


def texts_of(
    model: Decoder,
    tokenizer: Tokenizer,
    prompts: list[list[int]],
    config: DecodingConfig,
    batch_size: int,
    should_stop: Callable[[], bool] = bool,
) -> dict[int, tuple[list[int], str, str]]:
    """Ids, text and reason of each prompt."""
    context = model.config.max_position_embeddings
    replies = [
        Reply(tokenizer, ids, config, context, end_ids=END_IDS, index=index, is_healed=True)
        for index, ids in enumerate(prompts)
    ]
    written: dict[int, list[int]] = {index: [] for index in range(len(prompts))}
    found = {}
    for reply, event in generate_all(
        model, replies, batch_size=batch_size, should_stop=should_stop
    ):
        if isinstance(event, TokenGenerated):
            written[reply.index].append(event.token_id)
        else:
            found[reply.index] = (written[reply.index], event.text, event.reason)
    return found


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(way))
@settings(max_examples=5)
@given(
    lengths=st.lists(st.integers(1, 63), min_size=1, max_size=7),
    max_tokens=st.integers(3, 20),
    batch_size=st.integers(2, 5),
    window=st.sampled_from([None, 5]),
)
def test_every_batch_size_writes_the_same(
    tiny_tokenizer: Tokenizer,
    way: dict[str, object],
    lengths: list[int],
    max_tokens: int,
    batch_size: int,
    window: int | None,
) -> None:
    model = make_model(make_config(sliding_window=window))
    generator = torch.Generator().manual_seed(sum(lengths))
    prompts = [torch.randint(130, 320, (n,), generator=generator).tolist() for n in lengths]
    config = DecodingConfig(max_tokens=max_tokens, **way)  # type: ignore[arg-type]
    one_by_one = texts_of(model, tiny_tokenizer, prompts, config, 1)
    assert len(one_by_one) == len(prompts)
    assert texts_of(model, tiny_tokenizer, prompts, config, batch_size) == one_by_one


def test_long_prompts_are_read_alone_and_short_ones_together(tiny_tokenizer: Tokenizer) -> None:
    model = make_model(make_config(max_position_embeddings=2 * SHORT))
    config = DecodingConfig(max_tokens=9, seed=2)
    prompts = [[*range(200, 210)] * n for n in (9, 1, 7, 3)]
    assert len(prompts[0]) > len(prompts[2]) > SHORT
    one_by_one = texts_of(model, tiny_tokenizer, prompts, config, 1)
    assert texts_of(model, tiny_tokenizer, prompts, config, 4) == one_by_one


@pytest.mark.parametrize("position_embedding", ["rope", "learned", "sinusoidal", "alibi"])
def test_rows_that_come_and_go_keep_their_positions(
    tiny_tokenizer: Tokenizer, position_embedding: str
) -> None:
    model = make_model(make_config(position_embedding=position_embedding))
    prompts = [[*range(200, 200 + n)] for n in (40, 2, 17, 50, 1, 30)]
    config = DecodingConfig(max_tokens=40, seed=2)
    one_by_one = texts_of(model, tiny_tokenizer, prompts, config, 1)
    assert len({len(ids) for ids, _, _ in one_by_one.values()}) > 3
    assert texts_of(model, tiny_tokenizer, prompts, config, 3) == one_by_one


def test_the_first_of_many_is_the_prompt_alone_and_equal_prompts_differ(
    tiny_model: Decoder, tiny_tokenizer: Tokenizer
) -> None:
    config = DecodingConfig(max_tokens=12, seed=3, top_k=0)
    many = texts_of(tiny_model, tiny_tokenizer, [[200, 201, 202]] * 3, config, 3)
    *_, end = generate(
        tiny_model, tiny_tokenizer, [200, 201, 202], config, end_ids=END_IDS, is_healed=True
    )
    assert isinstance(end, GenerationFinished)
    assert many[0][1:] == (end.text, end.reason)
    assert len({text for _, text, _ in many.values()}) == 3


def test_prompts_are_read_when_a_place_is_free(tiny_model: Decoder) -> None:
    taken: list[int] = []

    def rows() -> Iterator[Row]:
        for length in (4, 2, 9, 5):
            taken.append(length)
            yield Row([200] * 3, DecodingConfig(greedy=True), length)

    seen = [len(taken) for _ in decode(tiny_model, rows(), 2)]
    assert seen == [2] * 4 + [3] * 4 + [4] * 12


def test_a_stop_gives_up_those_under_way(tiny_model: Decoder, tiny_tokenizer: Tokenizer) -> None:
    answers = iter([False] * 7 + [True])
    found = texts_of(
        tiny_model,
        tiny_tokenizer,
        [[200, 201]] * 9,
        DecodingConfig(seed=1, min_tokens=9, max_tokens=9),
        4,
        lambda: next(answers),
    )
    assert [reason for _, _, reason in found.values()] == ["stopped"]
