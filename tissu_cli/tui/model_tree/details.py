"""What the cursor is on: a module's parts, or a tensor's figures, which a thread finds."""

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import get_current_worker

from tissu_cli.render.inspect.model_tree import ModuleNode, module_view
from tissu_cli.render.inspect.weights import tensor_view
from tissu_core.errors import TissuError
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_core.runs.inspect.tree import ModelTree

_ROWS, _EDGES = 5, 5
_MOST_BINS, _FEWEST_BINS = 96, 16
_AT_REST_SECONDS = 0.1
"""So long a cursor or a window stays before a tensor is read: who passes over many reads none.
Never 0: a late timer of Textual divides by its interval."""
_KEPT = 256
"""Views of tensors, so that going back reads nothing again."""


class Details(VerticalScroll):
    """The right side. One tensor is read at a time; of those chosen meanwhile only the last."""

    def __init__(self, model: "ModelTree") -> None:
        super().__init__()
        self.model = model
        self.num_read = 0
        self._text = Static()
        self._chosen: ModuleNode | None = None
        self._timer: Timer | None = None
        self._is_busy = False
        self._views: dict[tuple[str, int], RenderableType] = {}

    def compose(self) -> ComposeResult:
        """One text."""
        yield self._text

    def choose(self, node: ModuleNode) -> None:
        """Show a module at once, a tensor when it was read after a moment at rest."""
        self._chosen = node
        if self._timer is not None:
            self._timer.stop()
        if node.tensor is None:
            self._show(module_view(node))
        elif (view := self._views.get(self._key(node))) is not None:
            self._show(view)
        else:
            self._show(Text(f"reading {sanitize_line(node.tensor.name)}", style="dim"))
            self._timer = self.set_timer(_AT_REST_SECONDS, self._read)

    def on_resize(self) -> None:
        """A histogram is as wide as its room."""
        if self._chosen is not None:
            self.choose(self._chosen)

    @property
    def _width(self) -> int:
        return max(1, self.size.width - 2)

    def _key(self, node: ModuleNode) -> tuple[str, int]:
        return node.key, self._width

    def _show(self, view: RenderableType) -> None:
        self._text.update(view)
        self.scroll_home(animate=False)

    def _read(self) -> None:
        node = self._chosen
        if self._is_busy or node is None or node.tensor is None or self._key(node) in self._views:
            return
        self._is_busy = True
        width, name = self._width, node.tensor.name

        def work() -> None:
            view = self._examined(name, width)
            if not get_current_worker().is_cancelled:
                self.app.call_from_thread(self._finish, (node.key, width), view)

        self.run_worker(work, thread=True, group="reading")

    def _examined(self, name: str, width: int) -> RenderableType:
        bins = max(_FEWEST_BINS, min(_MOST_BINS, width - _EDGES))
        try:
            found = self.model.examine(name, bins)
        except TissuError as error:
            return Text(f"{sanitize_line(error.message)}\ntry: {sanitize_line(error.hint)}", "red")
        view = tensor_view(found, _ROWS, width)
        if found.spectrum is not None or len(found.shape) != 2 or found.not_finite:
            return view
        command = f"its spectrum takes long: tissu inspect weights {sanitize_line(name)} --spectrum"
        return Group(view, Text(command, style="dim"))

    def _finish(self, key: tuple[str, int], view: RenderableType) -> None:
        self._is_busy = False
        self.num_read += 1
        if len(self._views) >= _KEPT:
            self._views.pop(next(iter(self._views)))
        self._views[key] = view
        if self._chosen is not None and self._chosen.tensor is not None:
            if self._key(self._chosen) == key:
                self._show(view)
            else:
                self._read()
