"""The two lines that tell what is happening: the model above, the figures below."""

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from tissu_cli.render import numbers
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_cli.tui.figures_line import FiguresLine
    from tissu_core.events.replies import ModelLoaded
    from tissu_core.events.shared import StageAdvanced

_EIGHTHS = "▏▎▍▌▋▊▉█"


class TopLine(Static):
    """The model, and the conversation's title."""

    def __init__(self) -> None:
        super().__init__("tissu", id="top-line", markup=False)

    def tell(self, model: str, facts: "ModelLoaded | None", title: str) -> None:
        """Draw what is known."""
        parts = [model or "the newest model"]
        if facts is not None:
            name = facts.name if facts.step is None else f"{facts.name} step {facts.step:,}"
            parts = [name, f"{numbers.count(facts.num_parameters)} parameters"]
            parts += [f"{facts.device} {facts.precision}"]
        line = Content.assemble(
            ("tissu ", "bold $primary"), (sanitize_line(" · ".join(parts)), "$text")
        )
        if title:
            line = line.append(Content.styled(f"   {sanitize_line(title)}", "dim"))
        self.update(line)


class StatusLine(Static):
    """Speed, context and settings while a model is ready; before that, how far it is."""

    def __init__(self) -> None:
        super().__init__("", id="status-line", markup=False)
        self._figures: FiguresLine | None = None

    def tell_loading(self, event: "StageAdvanced | None") -> None:
        """How far the loading is."""
        text = "loading the model"
        if event is not None:
            text = event.stage
            if event.total:
                share = event.done / event.total
                text += f" {bar(share)} {share:.0%}"
        self._draw(Content.styled(f"◌ {sanitize_line(text)}", "$text-warning"))

    def tell_trouble(self, text: str) -> None:
        """What went wrong and lasts."""
        self._draw(Content.styled(f"✗ {sanitize_line(text)}", "$text-error"))

    def _draw(self, content: Content) -> None:
        self._figures = None
        self.update(content)

    def tell(self, figures: "FiguresLine") -> None:
        """Draw the figures, as they fit."""
        self._figures = figures
        self.update(figures.at(self.content_size.width))

    def on_resize(self) -> None:
        """They fit otherwise now."""
        if self._figures is not None:
            self.tell(self._figures)


def bar(share: float, cells: int = 6) -> str:
    """A bar of a few cells, in eighths of one.

    >>> bar(0.3), bar(1, 3)
    ('█▊░░░░', '███')
    """
    eighths = round(min(max(share, 0.0), 1.0) * cells * 8)
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (_EIGHTHS[rest - 1] if rest else "")
    return drawn.ljust(cells, "░")
