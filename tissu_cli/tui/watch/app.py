"""The screen of ``tissu watch``: pictures of runs, and keys that ask them for something."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, cast

from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.events import Resize
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Footer

from tissu_cli.render import numbers
from tissu_cli.tui.safe_segments import SafeSegments
from tissu_cli.tui.shell import driver_class
from tissu_cli.tui.watch.allowance import Allowance
from tissu_cli.tui.watch.bodies import Bodies
from tissu_cli.tui.watch.leaving import Answer, Leaving
from tissu_cli.tui.watch.picture import draw
from tissu_cli.tui.watch.watched import WatchedRun, look_at
from tissu_core.errors import TissuError
from tissu_core.events.training import Request
from tissu_core.runs.watch import ask
from tissu_core.sanitize import sanitize_line

_LOOK_SECONDS = 0.5
_AGE_SECONDS = 5.0
"""So old may the age of a save be on the screen when nothing else happens."""
_NO_COLOUR_THEME = "ansi-dark"


class Picture(Widget):
    """All that is drawn of the runs; of it only rows that became others are drawn again."""

    ALLOW_SELECT = False
    auto_links = False

    def __init__(
        self, runs: Sequence[WatchedRun], clock: Callable[[], float], allowance: Allowance
    ) -> None:
        super().__init__()
        self.runs, self.chosen = runs, 0
        self.redraws = 0
        self._clock, self._allowance = clock, allowance
        self._has_news = False
        self._bodies = Bodies()
        self._rows: list[Content] = []
        self._age = ""
        self._laid_out = 0.0

    def render_line(self, y: int) -> Strip:
        """A row as it was laid out last."""
        width, style = self.size.width, self.visual_style
        if y >= len(self._rows):
            return Strip.blank(width, style.rich_style)
        texts = self._rows[y].render(style, end="", parse_style=self._get_style)
        return Strip([Segment(text, style.rich_style) for text, style in texts], width)

    def look(self, *, is_new: bool) -> None:
        """Lay it out anew if anything else would be seen, and it is not too soon for that."""
        self._has_news = self._has_news or is_new
        is_late = time.monotonic() - self._laid_out >= _AGE_SECONDS
        is_old = is_late and self._age != self._age_of_save()
        if (self._has_news or is_old or self._bodies.are_due) and self._allowance.is_enough:
            self.redraw()

    def redraw(self) -> None:
        """Lay it out anew, and have drawn what changed."""
        self._allowance.spend()
        self.redraws, self._laid_out = self.redraws + 1, time.monotonic()
        self._age = self._age_of_save()
        width, height = self.size
        histories = [run.history for run in self.runs]
        before, now, is_new = self._rows, self._clock(), self._has_news
        self._has_news = False
        self._rows = draw(histories, self.chosen, width, height, now, self._bodies, is_new=is_new)
        if len(before) != len(self._rows):
            self.refresh()
            return
        changed = [
            y for y, rows in enumerate(zip(before, self._rows, strict=True)) if _differ(*rows)
        ]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def _age_of_save(self) -> str:
        saved = self.runs[self.chosen].history.saved
        return numbers.ago(self._clock() - saved[0]) if saved else ""


def _differ(one: Content, other: Content) -> bool:
    return one is not other and (one.plain != other.plain or one.spans != other.spans)


class WatchApp(App[None]):
    """Watches runs; it may come and go, they do not notice."""

    TITLE = "tissu watch"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: $background; }
    Picture { height: 1fr; }
    Leaving { align: center middle; }
    Leaving > Vertical { width: 64; max-width: 95%; height: auto; padding: 0 1; }
    Leaving > Vertical { background: $surface; }
    Leaving Static { text-style: bold; color: $primary; }
    Leaving OptionList { height: auto; border: none; background: $surface; }
    Toast { padding: 0 1; margin: 0 1 0 0; width: auto; max-width: 60; }
    .-low Footer { display: none; }
    """
    VERTICAL_BREAKPOINTS = [(0, "-low"), (8, "-tall")]  # noqa: RUF012  as Textual has them
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause/resume", id="watch-pause"),
        Binding("s", "ask('sample')", "Sample", id="watch-sample"),
        Binding("k", "ask('save')", "Checkpoint", id="watch-save"),
        Binding("e", "ask('evaluate')", "Evaluate", id="watch-evaluate"),
        Binding("tab", "choose(1)", "Next run", id="watch-next", priority=True),
        Binding("shift+tab", "choose(-1)", show=False, id="watch-before", priority=True),
        Binding("q,escape,ctrl+c", "leave", "Leave", id="watch-leave", key_display="q"),
    ]

    def __init__(
        self,
        directories: Sequence[Path],
        clock: Callable[[], float] = time.time,
        allowance: Allowance | None = None,
    ) -> None:
        is_plain = "NO_COLOR" in os.environ
        super().__init__(driver_class=driver_class(), ansi_color=True if is_plain else None)
        if self.no_color:
            self.theme = _NO_COLOUR_THEME
        self.runs = [WatchedRun(directory) for directory in directories]
        self._allowance = allowance or Allowance()
        self.picture = Picture(self.runs, clock, self._allowance)
        self._awaited: WatchedRun | None = None
        """Its end is that of the screen too."""

    @property
    def failure(self) -> Exception | None:
        """The bug that ended the screen."""
        return self._exception

    def _print_error_renderables(self) -> None:
        """Nothing is printed here: ``failure`` is raised where all errors are shown."""

    @property
    def chosen(self) -> WatchedRun:
        """The run that the keys are for."""
        return self.runs[self.picture.chosen]

    def compose(self) -> ComposeResult:
        """The picture, and the keys below it."""
        yield self.picture
        yield Footer(compact=True, show_command_palette=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Another run can be chosen where there is one."""
        return action != "choose" or len(self.runs) > 1

    def on_mount(self) -> None:
        """Watch over what is drawn, and look at the logs from now on."""
        self._filters.append(SafeSegments())
        self._allowance.favour()
        self._look()
        self.set_interval(_LOOK_SECONDS, self._look)

    def on_resize(self, event: Resize) -> None:
        """Another size shows more, or less."""
        self._allowance.favour()
        self.call_after_refresh(self.picture.redraw)

    def _look(self) -> None:
        is_new, is_behind = look_at(self.runs), any(run.is_behind for run in self.runs)
        if is_behind or all(run.history.is_over for run in self.runs):
            self._allowance.forgive()  # a long log was read, or nobody trains beside
        self.picture.look(is_new=is_new)
        if is_behind:
            self.call_later(self._look)  # behind the keys that were pressed meanwhile
        if self._awaited is not None and self._awaited.history.is_over:
            self.exit()

    def action_choose(self, step: int) -> None:
        """Let the keys be for the next run."""
        self.picture.chosen = (self.picture.chosen + step) % len(self.runs)
        self.picture.redraw()

    def action_pause(self) -> None:
        """Pause the run, or let it go on."""
        self._ask("resume" if self.chosen.history.is_paused else "pause")

    def action_ask(self, what: str) -> None:
        """Ask the run for something."""
        self._ask(cast("Request", what))

    def _ask(self, what: Request) -> bool:
        run = self.chosen
        self._allowance.favour()
        try:
            is_heard = ask(run.directory, what)
        except TissuError as error:
            self._say(error.message, is_trouble=True)
            return False
        name = sanitize_line(run.history.name)
        if is_heard:
            self._say(f"asked for: {what}; {name} does it after its step")
        else:
            self._say(f"nobody trains {name}", is_trouble=True)
        return is_heard

    def _say(self, text: str, *, is_trouble: bool = False) -> None:
        severity = "warning" if is_trouble else "information"
        self.notify(sanitize_line(text), markup=False, timeout=3, severity=severity)  # type: ignore[arg-type]

    def action_leave(self) -> None:
        """Leave, or first ask what becomes of the run."""
        if self.chosen.history.is_over:
            self.exit()
        elif not isinstance(self.screen, Leaving):
            self.push_screen(Leaving(self.chosen.history.name), self._leave)

    def _leave(self, answer: Answer | None) -> None:
        if answer == "detach":
            self.exit()
        elif answer is not None and self._ask(answer):
            self._awaited = self.chosen
