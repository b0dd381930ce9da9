"""The line of figures at every width."""

from dataclasses import replace

import pytest

from tests.cli.tui.desk import Desk
from tests.cli.tui.harness import played
from tissu_cli.tui.figures_line import FiguresLine
from tissu_cli.tui.speed import Speed
from tissu_core.config.decoding import DecodingConfig
from tissu_core.events.replies import ContextMeasured, GenerationFinished

END = GenerationFinished(
    text="",
    tail="",
    reason="stop",
    prompt_tokens=30_000,
    new_tokens=1024,
    first_token_seconds=10.123,
    tokens_per_second=123.4,
)
FULL = ContextMeasured(prompt_tokens=32_768, context_tokens=32_768, reply_tokens=512, dropped=0)
SETTINGS = DecodingConfig(temperature=0.75, top_k=100, top_p=0.95)


def line(cells: int, *, dropped: int = 0, waiting: int = 0) -> str:
    speed = Speed(began=0, tokens=END.new_tokens, end=END)
    measured = replace(FULL, dropped=dropped)
    made = FiguresLine(speed, measured, SETTINGS, 99_999, is_writing=True, waiting=waiting)
    return made.at(cells).plain


def test_with_room_it_is_in_whole_words() -> None:
    assert line(200, dropped=2, waiting=1) == (
        "● 123.4 tok/s  first 10.12 s  1,024 out  1 waiting  ctx ██████ 100%/32,768  "
        "the oldest 2 messages will be left out  T 0.75 top-k 100 top-p 0.95  seed 99999"
    )


def test_at_eighty_columns_the_longest_of_all_figures_fit() -> None:
    assert line(78) == (
        "● 123.4 tok/s  1st 10.12s  1,024 out  ███ 100%  T0.75 k100 p0.95  seed 99999"
    )


def test_at_eighty_columns_what_will_be_cut_is_told_with_the_seed() -> None:
    told = line(78, dropped=12)
    assert told == ("● 123.4 tok/s  1,024 out  ███ 100%/32.8k  cuts oldest 12  T0.75  seed 99999")


@pytest.mark.parametrize("dropped", [0, 3])
@pytest.mark.parametrize("cells", range(29, 130))
def test_it_fits_and_no_word_is_broken(cells: int, dropped: int) -> None:
    told = line(cells, dropped=dropped)
    assert len(told) <= cells
    assert ("cuts oldest 3" in told or "oldest 3 messages" in told) == (dropped == 3)
    assert "100%" in told


@played
async def test_the_line_is_fitted_when_the_terminal_is_resized(desk: Desk) -> None:
    desk.base = SETTINGS
    desk.has("It is four.")
    async with desk.open() as chat:
        await chat.ask("What is 2 + 2?")
        await chat.until(lambda: "ctx" in chat.status and "seed" in chat.status)
        for size in ((40, 20), (80, 24), (40, 20), (160, 24)):
            await chat.pilot.resize_terminal(*size)
            await chat.until(lambda size=size: len(chat.status) <= size[0] - 2)
            assert ("top-k 100" in chat.status) == (size[0] == 160)
            assert any(chat.status in row for row in chat.lines())
