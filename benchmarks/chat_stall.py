"""How long a reply holds up the chat screen: ours beside Textual's own streaming Markdown.

``python benchmarks/chat_stall.py`` writes a list of 200 items, a table and 5 kB of code at 100
tokens a second, from a thread, into a headless app of 120x36 that draws 30 times a second. A
heartbeat every 5 ms sees how late the event loop is: the longest and the 95th percentile, and how
long after its last token a reply is on the screen; medians of all runs. The row "nothing drawn" is
what the machine does to a loop that only takes the tokens. A person does not feel 50 ms.
"""

import argparse
import asyncio
import statistics
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Markdown

from tissu_cli.tui.garbage import settle
from tissu_cli.tui.reply_body import ReplyBody
from tissu_cli.tui.safe_segments import SafeSegments

TOKEN_CHARACTERS = 4
TOKENS_PER_SECOND = 100
FRAMES_PER_SECOND = 30
HEARTBEAT_SECONDS = 0.005
NOBODY, OURS, THEIRS = "nothing drawn", "ReplyBody", "Markdown.get_stream"


def reply() -> str:
    items = "".join(
        f"{n}. **Item {n}** says a few words, with `code` and *stress*\n" for n in range(1, 201)
    )
    rows = "".join(f"| row {n} | {n * n} | some words about it |\n" for n in range(1, 31))
    table = f"| name | square | about |\n|---|--:|---|\n{rows}"
    line = "def function_{n}(value: int) -> str:\n    return f'{value} of {n}'  # words\n\n"
    functions = "".join(line.replace("{n}", str(n)) for n in range(65))
    return f"# A long reply\n\n{items}\n{table}\n```python\n{functions}```\n\nThat is all.\n"


@dataclass
class Measured:
    """Seconds."""

    longest: float
    p95: float
    late: float


class Scroll(VerticalScroll):
    """As the transcript of the chat screen is."""

    BLANK = True


class Screen(App[None]):
    """One reply, and nothing beside it."""

    CSS = "ReplyBody { padding: 0 1; }"

    def __init__(self, *, is_ours: bool) -> None:
        super().__init__()
        self._filters.append(SafeSegments())
        self.body = ReplyBody() if is_ours else Markdown()

    def compose(self) -> ComposeResult:
        """The reply, followed to its end."""
        with Scroll() as scroll:
            yield self.body
        scroll.anchor()


def write_tokens(text: str, queue: "deque[str]", done: threading.Event) -> None:
    started = time.perf_counter()
    for number, at in enumerate(range(0, len(text), TOKEN_CHARACTERS)):
        due = started + number / TOKENS_PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        queue.append(text[at : at + TOKEN_CHARACTERS])
    done.set()


async def beat(delays: list[float]) -> None:
    while True:
        started = time.perf_counter()
        await asyncio.sleep(HEARTBEAT_SECONDS)
        delays.append(time.perf_counter() - started - HEARTBEAT_SECONDS)


async def drain(
    queue: "deque[str]", done: threading.Event, draw: Callable[[str], Awaitable[None]]
) -> None:
    """Draw what came 30 times a second, until all is drawn."""
    while not done.is_set() or queue:
        await asyncio.sleep(1 / FRAMES_PER_SECOND)
        text = "".join(queue.popleft() for _ in range(len(queue)))
        if text:
            await draw(text)


async def measure(text: str, who: str) -> Measured:
    app = Screen(is_ours=who != THEIRS)
    delays: list[float] = []
    queue: deque[str] = deque()
    done = threading.Event()
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        settle()  # as the chat screen does
        body = app.body
        stream = None if isinstance(body, ReplyBody) else Markdown.get_stream(body)

        async def draw(new: str) -> None:
            if stream is not None:
                await stream.write(new)
            elif isinstance(body, ReplyBody) and who == OURS:
                body.append(new)

        writer = threading.Thread(target=write_tokens, args=(text, queue, done))
        heart = asyncio.create_task(beat(delays))
        writer.start()
        started = time.perf_counter()
        await drain(queue, done, draw)
        if stream is not None:
            await stream.stop()
        elif isinstance(body, ReplyBody):
            body.finish()
        await pilot.pause()
        late = time.perf_counter() - started - len(text) / TOKEN_CHARACTERS / TOKENS_PER_SECOND
        heart.cancel()
        writer.join()
    delays.sort()
    return Measured(delays[-1], delays[int(len(delays) * 0.95)], late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ours", action="store_true", help="leave Textual's out")
    asked = parser.parse_args()
    text = reply()
    seconds = len(text) / TOKEN_CHARACTERS / TOKENS_PER_SECOND
    print(f"{len(text):,} characters, {seconds:.0f} s of tokens, median of {asked.runs} runs")
    print(f"{'':22} {'longest':>10} {'p95':>10} {'behind':>10}")
    for who in (NOBODY, OURS) if asked.ours else (NOBODY, OURS, THEIRS):
        runs = [asyncio.run(measure(text, who)) for _ in range(asked.runs)]
        longest, p95, late = (
            statistics.median(getattr(run, field) for run in runs)
            for field in ("longest", "p95", "late")
        )
        print(f"{who:22} {longest * 1e3:7.1f} ms {p95 * 1e3:7.1f} ms {late:8.1f} s", flush=True)


if __name__ == "__main__":
    main()
