"""Golden frames: the screen as pictures, compared to the letter.

After a change that is meant, look at what comes of

    TISSU_WRITE_FRAMES=1 pytest tests/cli/tui/test_frames.py

before it is committed.
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.tui.desk import Desk
from tests.cli.tui.harness import Chat, played
from tissu_core.config.chat import ChatConfig
from tissu_core.config.decoding import DecodingConfig

FRAMES = Path(__file__).with_name("frames")
REPLY = """## Words 漢字

- **bold** and `code`
- 日本語 and emoji 😀
  1. nested

| name | n |
|:--|--:|
| 猫 | 1 |
| dog | 20 |

```py
def double(n: int) -> int:
    return 2 * n  # 二倍
```
"""


def normalised(svg: str) -> str:
    """Without what differs from picture to picture: the ids that Rich makes up."""
    return re.sub(r"terminal-[0-9a-f]+", "terminal", svg)


def check(chat: Chat, name: str, folder: Path) -> None:
    """Compare a picture of the screen with the one that is kept."""
    seen = normalised(chat.app.export_screenshot(title="tissu chat"))
    kept = FRAMES / f"{name}.svg"
    if os.environ.get("TISSU_WRITE_FRAMES"):
        FRAMES.mkdir(exist_ok=True)
        kept.write_text(seen, "utf-8")
    if seen != kept.read_text("utf-8"):
        path = folder / kept.name
        path.write_text(seen, "utf-8")
        lines = "\n".join(chat.lines())
        raise AssertionError(f"{kept} is not what is drawn, which is {path}:\n{lines}")


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light"])
@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
@played
async def test_the_screen_looks_as_it_did(desk: Desk, size: tuple[int, int], theme: str) -> None:
    desk.base = DecodingConfig(seed=7)
    desk.chat = replace(ChatConfig(), theme=theme)
    desk.has("Nothing yet.", REPLY.splitlines(keepends=True))
    name = f"{size[0]}x{size[1]}-{theme.removeprefix('textual-')}"
    async with desk.open(size=size) as chat:
        chat.app.chat.prompt.cursor_blink = False
        await chat.ask("Show me words 😀 and 漢字")
        await chat.send("/retry")
        await chat.until(lambda: chat.texts[-1] == REPLY)
        await chat.rest()
        await chat.type("And what about 猫?")
        await chat.until(lambda: chat.shows("And what about"))
        screen = chat.app.chat
        whole = screen.talk.measure(screen.prompt.full_text)
        await chat.until(lambda: screen.reports.measured == whole)
        await chat.settled()
        check(chat, f"reply-{name}", desk.folder)
        for number, key in enumerate(("f3", "right", "right"), 1):
            await chat.press(key)
            await chat.until(lambda number=number: chat.shows(f"token {number} of"))
            await chat.settled()
        check(chat, f"lens-{name}", desk.folder)
