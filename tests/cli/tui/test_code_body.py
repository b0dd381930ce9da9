"""Code on the screen gets its colours after its fence is closed."""

import pytest
from textual.pilot import Pilot

from tests.cli.tui.test_reply_body import run
from tissu_cli.tui.reply_body import ReplyBody

CODE = "```python\n" + "value = 'text'  # words\n" * 100


def colours(body: ReplyBody, y: int) -> int:
    return len({str(segment.style.color) for segment in body.render_line(y) if segment.style})


@pytest.mark.parametrize("is_closed", [True, False])
def test_streamed_code_is_coloured_when_it_ends(is_closed: bool) -> None:
    body = ReplyBody()

    async def act(pilot: Pilot[None]) -> None:
        body.append(CODE)
        await pilot.pause()
        assert colours(body, 99) == 1
        body.append("```\n") if is_closed else body.finish()
        while colours(body, 99) == 1:
            await pilot.pause(0.02)
        assert colours(body, 0) == colours(body, 99) == 2
        assert body.size.height == 100

    run(body, act)


def test_code_of_a_loaded_reply_is_coloured_when_it_is_seen() -> None:
    body = ReplyBody(CODE + "```")

    async def act(pilot: Pilot[None]) -> None:
        while colours(body, 0) == 1:
            await pilot.pause(0.02)

    run(body, act)
