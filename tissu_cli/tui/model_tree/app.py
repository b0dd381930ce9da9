"""The screen of ``tissu inspect tree``: modules on the left, what is chosen on the right."""

import os
from typing import TYPE_CHECKING, ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Footer, Input, Tree

from tissu_cli.render.inspect.model_tree import ModuleNode, build_modules, node_label
from tissu_cli.tui.model_tree.details import Details
from tissu_cli.tui.safe_segments import SafeSegments
from tissu_cli.tui.shell import driver_class
from tissu_core.errors import TissuError
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from textual.widgets.tree import TreeNode

    from tissu_core.runs.inspect.tree import ModelTree

_NO_COLOUR_THEME = "ansi-dark"  # marks what is chosen by reversing it


class ModelTreeApp(App[None]):
    """Shows what a model is made of; a tensor is read when the cursor rests on it."""

    TITLE = "tissu inspect"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: $background; }
    Tree { width: 45%; min-width: 24; max-width: 60; padding: 0 1 0 0; background: $background; }
    Details { width: 1fr; padding: 0 1; border-left: solid $panel; background: $background; }
    Input { display: none; height: 1; border: none; padding: 0 1; }
    Input.-open { display: block; }
    Toast { padding: 0 1; margin: 0 1 0 0; width: auto; max-width: 60; }
    .-low Footer { display: none; }
    """
    VERTICAL_BREAKPOINTS = [(0, "-low"), (8, "-tall")]  # noqa: RUF012  as Textual has them
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="tree-search", key_display="/"),
        Binding("n", "next(1)", "Next found", id="tree-next"),
        Binding("N", "next(-1)", show=False, id="tree-before"),
        Binding("s", "sort", "Sort", id="tree-sort"),
        Binding("tab", "app.focus_next", "Other side", id="tree-side", priority=True),
        Binding("escape", "leave_search", show=False, id="tree-leave-search"),
        Binding("q,ctrl+c", "quit", "Quit", id="tree-quit", key_display="q"),
    ]

    def __init__(self, model: "ModelTree") -> None:
        is_plain = "NO_COLOR" in os.environ
        super().__init__(driver_class=driver_class(), ansi_color=True if is_plain else None)
        if self.no_color:
            self.theme = _NO_COLOUR_THEME
        self.model = model
        self.root = build_modules(model.path.name, model.tensors)
        self.side: Tree[ModuleNode] = Tree(node_label(self.root), data=self.root)
        self.side.guide_depth = 2
        self.details = Details(model)
        self.found: list[str] = []
        self._at = 0
        self._is_by_size = False
        self._by_key: dict[str, TreeNode[ModuleNode]] = {}

    @property
    def failure(self) -> Exception | None:
        """The bug that ended the screen."""
        return self._exception

    def _print_error_renderables(self) -> None:
        """Nothing is printed here: ``failure`` is raised where all errors are shown."""

    def compose(self) -> ComposeResult:
        """Both sides, the line of the search, and the keys."""
        with Vertical():
            with Horizontal():
                yield self.side
                yield self.details
            yield Input(placeholder="part of a name: layers.0.attn, embed, **.norm")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin at the whole model."""
        self._filters.append(SafeSegments())
        self._fill({"", *(child.path for child in self.root.children)})
        self.side.focus()

    def _fill(self, opened: set[str]) -> None:
        self.side.clear()
        self._by_key = {"": self.side.root}
        self._add(self.side.root, self.root, opened)

    def _add(self, node: "TreeNode[ModuleNode]", module: ModuleNode, opened: set[str]) -> None:
        children = module.children
        if self._is_by_size:
            children = tuple(sorted(children, key=lambda child: -child.num_parameters))
        for child in children:
            label = node_label(child)
            if child.tensor is not None:
                self._by_key[child.tensor.name] = node.add_leaf(label, child)
                continue
            self._by_key[child.path] = under = node.add(label, child)
            self._add(under, child, opened)
        if module.path in opened:
            node.expand()

    def on_tree_node_highlighted(self, event: "Tree.NodeHighlighted[ModuleNode]") -> None:
        """Show what the cursor is on."""
        if event.node.data is not None:
            self.details.choose(event.node.data)

    def action_search(self) -> None:
        """Ask for a name."""
        field = self.query_one(Input)
        field.add_class("-open")
        field.value = ""
        field.focus()

    def action_leave_search(self) -> None:
        """Leave the search."""
        self.query_one(Input).remove_class("-open")
        self.side.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the first tensor that the name matches."""
        self.action_leave_search()
        if not event.value.strip():
            return
        try:
            self.found = self.model.find(event.value)
        except TissuError as error:
            self._say(f"{error.message}; {error.hint}", is_trouble=True)
            return
        self._at = 0
        self._go()

    def action_next(self, step: int) -> None:
        """Go to the next tensor that was found."""
        if self.found:
            self._at = (self._at + step) % len(self.found)
            self._go()

    def _go(self) -> None:
        node = self._by_key[self.found[self._at]]
        above = node.parent
        while above is not None:
            above.expand()
            above = above.parent
        self._say(f"{self._at + 1} of {len(self.found)} found")
        # The lines of what was expanded just now are known after the next layout.
        self.call_after_refresh(self.side.move_cursor, node)

    def action_sort(self) -> None:
        """By size, or as the model computes."""
        node = self.side.cursor_node
        chosen = "" if node is None or node.data is None else node.data.key
        opened = {path for path, node in self._by_key.items() if node.is_expanded}
        self._is_by_size = not self._is_by_size
        self._fill(opened)
        self._say("the largest first" if self._is_by_size else "as the model computes")
        self.call_after_refresh(self.side.move_cursor, self._by_key[chosen])

    def _say(self, text: str, *, is_trouble: bool = False) -> None:
        severity = "warning" if is_trouble else "information"
        self.notify(sanitize_line(text), markup=False, timeout=3, severity=severity)  # type: ignore[arg-type]
