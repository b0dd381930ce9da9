"""Suites put to models: one that knows, one that guesses, and real ones."""

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from tests.samples import make_config, make_model
from tissu_core.errors import InputError
from tissu_core.evals.suites.files import BUNDLED, load_suite, read_suite, suite_paths
from tissu_core.evals.suites.metrics import wilson
from tissu_core.evals.suites.model import Asked, ModelSubject, Subject
from tissu_core.evals.suites.prompts import behind, chat_prompt, plain_context
from tissu_core.evals.suites.scoring import ask_suite, choose_items
from tissu_core.evals.suites.suite import Item, Suite
from tissu_core.events.shared import Noticed
from tissu_core.events.suites import ItemScored, SuiteScored
from tissu_core.models.decoder import Decoder
from tissu_core.models.loss import linear_nll
from tissu_core.text.conversation import with_chat_template
from tissu_core.text.tokenizer import Tokenizer

NOWHERE = Path("/nowhere")
NAMES = sorted(suite_paths(NOWHERE))


def weighed(item: Item, values: Sequence[float], shots: int = 0) -> Asked:
    sizes = tuple(len(choice.encode()) for choice in item.choices)
    return Asked(item, shots, likelihoods=tuple(values), sizes=sizes)


class Oracle:
    """Knows every answer."""

    def weigh(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
        for item in items:
            values = [-1.0 if c in item.answers else -900.0 for c in item.choices]
            yield weighed(item, values, len(suite.shots))

    def write(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
        for item in reversed(items):
            yield Asked(item, len(suite.shots), reply=item.answers[0])


class Guesser(Oracle):
    """Finds every character as likely as it comes."""

    def weigh(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
        chooser = random.Random(7)
        for item in items:
            values = [-len(choice) * chooser.random() for choice in item.choices]
            yield weighed(item, values, len(suite.shots))

    def write(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
        chooser = random.Random(7)
        for item in items:
            letters = "".join(chooser.choices("xzvk 0123456789", k=12))
            yield Asked(item, len(suite.shots), reply=letters)


def score_of(suite: Suite, subject: Subject, **settings: object) -> SuiteScored:
    *_, last = ask_suite(suite, subject, model="m", is_chat=False, **settings)  # type: ignore[arg-type]
    assert isinstance(last, SuiteScored)
    return last


@pytest.mark.parametrize("name", NAMES)
def test_who_knows_all_answers_is_right_everywhere(name: str) -> None:
    suite = load_suite(name, NOWHERE)
    score = score_of(suite, Oracle())
    assert score.value == pytest.approx(1) and score.num_items == len(suite.items) >= 40
    assert score.low is not None and score.high is not None
    assert score.low <= score.value <= score.high + 1e-9
    assert all(kind.value == pytest.approx(1) for kind in score.kinds)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "code"])
def test_who_guesses_comes_to_about_chance(name: str) -> None:
    suite = load_suite(name, NOWHERE)
    score = score_of(suite, Guesser())
    low, high = wilson(score.chance * score.num_items, score.num_items)
    if suite.metric == "choice":
        assert score.chance == pytest.approx(1 / len(suite.items[0].choices))
        assert low <= score.value <= high
    else:
        assert score.chance == 0 and score.value < 0.02


def test_guessed_code_does_not_pass() -> None:
    assert score_of(load_suite("code", NOWHERE), Guesser(), limit=4).value == 0


@pytest.mark.parametrize("name", [n for n in NAMES if load_suite(n, NOWHERE).metric == "choice"])
def test_no_answer_is_given_away_by_its_place_or_length(name: str) -> None:
    suite = load_suite(name, NOWHERE)
    number, ways = len(suite.items), len(suite.items[0].choices)
    most = wilson(number / ways, number)[1]
    for place in range(ways):
        assert sum(i.choices.index(i.answers[0]) == place for i in suite.items) / number <= most
    if ways > 2:
        longest = sum(max(i.choices, key=len) == i.answers[0] for i in suite.items)
        shortest = sum(min(i.choices, key=len) == i.answers[0] for i in suite.items)
        assert max(longest, shortest) / number < 0.5


def test_equal_likelihoods_are_no_choice() -> None:
    class Indifferent(Oracle):
        def weigh(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
            for item in items:
                yield weighed(item, [math.nan, *[-1.0] * (len(item.choices) - 1)])

    assert score_of(load_suite("sentiment", NOWHERE), Indifferent()).value == 0


def write_suite(directory: Path, text: str) -> Suite:
    path = directory / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_suite(path)


CHOICES = """
metric = "choice"
instruction = "Say which."
[[shots]]
prompt = "The loom is made of"
answer = "wood"
[[items]]
id = "a"
prompt = "The weaver set the"
choices = ["loom", "looms of the house", "threads"]
answer = "loom"
kind = "one"
[[items]]
id = "b"
prompt = "She ___ the threads twice."
choices = ["counted", "moved"]
answer = "counted"
"""


def alone(model: Decoder, ids: list[int], first: int) -> float:
    """Log-likelihood of the ids from ``first`` on, by a plain forward of one row."""
    logits = model(torch.tensor([ids[:-1]])).detach()[0].double().log_softmax(-1)
    return float(sum(logits[n - 1, ids[n]] for n in range(first, len(ids))))


def test_likelihoods_are_those_of_each_choice_read_alone(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(make_config(max_position_embeddings=128))
    suite = write_suite(tmp_path, CHOICES)
    subject = ModelSubject(model=model, tokenizer=tiny_tokenizer, end_ids=frozenset())
    for asked in subject.weigh(suite, suite.items, is_chat=False):
        before = "Say which.\n\nThe loom is made of wood\n\n"
        assert plain_context(suite, 1) == before and asked.shots == 1
        rows = [
            [tiny_tokenizer.start_id, *tiny_tokenizer.encode(before + behind(asked.item.prompt, c))]
            for c in asked.item.choices
        ]
        shared = 0
        while all(row[shared] == rows[0][shared] for row in rows):
            shared += 1
        wanted = [alone(model, row, shared) for row in rows]
        assert asked.likelihoods == pytest.approx(wanted, rel=1e-4)


def test_a_choice_is_behind_the_prompt_or_in_its_gap() -> None:
    assert behind("The sky is", "blue") == "The sky is blue"
    assert behind("def f():\n", "    return 1") == "def f():\n    return 1"
    assert behind("The ___ is blue.", "sky") == "The sky is blue."


def test_normalised_likelihoods_are_divided_by_bytes(tmp_path: Path) -> None:
    class Told(Oracle):
        def weigh(self, suite: Suite, items: Sequence[Item], *, is_chat: bool) -> Iterator[Asked]:
            yield weighed(items[0], [-8.0, -9.0])

    text = 'metric = "choice"\n[[items]]\nid = "a"\nprompt = "x"\n'
    suite = write_suite(tmp_path, text + 'choices = ["dé", "longer"]\nanswer = "longer"\n')
    events = [*ask_suite(suite, Told(), model="m", is_chat=False)]
    item = next(event for event in events if isinstance(event, ItemScored))
    assert item.normalised == (-8 / 3, -9 / 6) and item.given == "longer" and item.value == 1
    score = events[-1]
    assert isinstance(score, SuiteScored)
    assert dict(score.figures) == {
        "unnormalised": 0.0,
        "bits per byte of the answers": pytest.approx(1.5 / math.log(2)),
    }


SHARED = """
metric = "choice"
[[items]]
id = "behind"
prompt = "The weaver counted"
choices = ["the threads twice, once for the red", "the threads twice, once for the blue"]
answer = "the threads twice, once for the red"
[[items]]
id = "gap"
prompt = "The weaver counted ___ before the red sail came home with the evening tide."
choices = ["threads", "sails"]
answer = "threads"
"""


@pytest.mark.parametrize("is_chat", [False, True])
def test_a_choice_is_divided_by_the_bytes_of_the_tokens_that_count(
    tiny_tokenizer: Tokenizer, tmp_path: Path, is_chat: bool
) -> None:
    model = make_model(make_config(max_position_embeddings=256))
    tokenizer = with_chat_template(tiny_tokenizer)
    subject = ModelSubject(model=model, tokenizer=tokenizer, end_ids=frozenset())
    suite = write_suite(tmp_path, SHARED)
    for asked in subject.weigh(suite, suite.items, is_chat=is_chat):
        item = asked.item
        # In a conversation the choice alone is the reply: what stands behind a gap is not said.
        texts = list(item.choices) if is_chat else [behind(item.prompt, c) for c in item.choices]
        rows = [tokenizer.encode(text, is_start=not is_chat) for text in texts]
        shared = next(n for n, pair in enumerate(zip(*rows, strict=False)) if len({*pair}) > 1)
        prefix = tokenizer.decode(rows[0][:shared])
        assert asked.sizes == tuple(len(text) - len(prefix) for text in texts)


def test_what_does_not_fit_is_said_and_left_out(tiny_tokenizer: Tokenizer, tmp_path: Path) -> None:
    suite = write_suite(tmp_path, CHOICES)

    def asked_by(context: int) -> ModelSubject:
        model = make_model(make_config(max_position_embeddings=context))
        return ModelSubject(model=model, tokenizer=tiny_tokenizer, end_ids=frozenset())

    full = len(tiny_tokenizer.encode(plain_context(suite, 1)))
    events = [*ask_suite(suite, asked_by(full + 4), model="m", is_chat=False)]
    notices = [event.text for event in events if isinstance(event, Noticed)]
    assert any("fewer examples" in text for text in notices)
    with pytest.raises(InputError, match="no item of mine fits"):
        [*ask_suite(suite, asked_by(4), model="m", is_chat=False)]


def test_a_model_that_has_learned_the_answers_is_right(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    words = ["blue", "red", "grey", "white", "black", "brown"]
    things = ["sky", "rose", "stone", "snow", "night", "bark"]
    pairs = list(zip(things, words, strict=True))
    items = "".join(
        f'[[items]]\nid = "{t}"\nprompt = "The {t} is"\nanswer = "{w}"\n' for t, w in pairs
    )
    choice = write_suite(tmp_path, f'metric = "choice"\nchoices = {words}\n{items}')
    exact = write_suite(tmp_path, f'metric = "exact"\nmax_tokens = 12\nstop = ["\\n"]\n{items}')
    model = make_model(make_config())
    subject = ModelSubject(model=model, tokenizer=tiny_tokenizer, end_ids=frozenset())
    assert score_of(choice, subject).value <= 0.5 and score_of(exact, subject).value == 0
    texts = [
        torch.tensor([0, *tiny_tokenizer.encode(f"The {thing} is {word}\n\n")])
        for thing, word in pairs
    ]
    ids = pad_sequence(texts, batch_first=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        hidden = model.model(ids[:, :-1]).flatten(0, 1)
        linear_nll(hidden, model.head_weight(), ids[:, 1:].flatten()).mean().backward()
        optimizer.step()
    assert score_of(choice, subject).value == 1
    assert score_of(exact, subject).value == 1


def test_a_limit_takes_the_same_items_in_their_order() -> None:
    suite = load_suite("cloze", NOWHERE)
    some = choose_items(suite, 5, seed=3)
    assert len(some) == 5 and some == choose_items(suite, 5, seed=3)
    assert [item.line for item in some] == sorted(item.line for item in some)
    assert some != choose_items(suite, 5, seed=4)


def test_turns_hold_instruction_examples_and_item(tmp_path: Path) -> None:
    suite = write_suite(tmp_path, CHOICES)
    turns = chat_prompt(suite, suite.items[0], 1)
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert turns[0].content == "Say which.\n\nThe loom is made of"
    assert turns[2].content == "The weaver set the"


def test_every_bundled_file_is_listed() -> None:
    assert {path.stem for path in BUNDLED.glob("*.toml")} == {*NAMES} and len(NAMES) == 8
