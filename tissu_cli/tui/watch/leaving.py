"""The question behind ``q``: whether the run shall go on alone."""

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tissu_core.sanitize import sanitize_line

Answer = Literal["detach", "stop", "stop now"]
_CHOICES: tuple[tuple[str, Answer | None, str], ...] = (
    ("d", "detach", "leave the screen, the run goes on"),
    ("s", "stop", "stop after a checkpoint; --resume goes on from there"),
    ("n", "stop now", "stop now; steps since the last checkpoint are lost"),
    ("c", None, "cancel, go on watching"),
)


class Leaving(ModalScreen[Answer | None]):
    """Lets the run go on, ends it, or nothing of both."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(key, f"take({index})", show=False) for index, (key, _, _) in enumerate(_CHOICES)),
        Binding("escape,q", "take(3)", show=False),
        Binding("ctrl+c", "take(0)", show=False, priority=True),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._run = name

    def compose(self) -> ComposeResult:
        """The choices."""
        with Vertical():
            yield Static(Content(f"{sanitize_line(self._run)} is training"), markup=False)
            yield OptionList(
                *(Option(Content(f"{key}  {text}")) for key, _, text in _CHOICES), compact=True
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """The one that is pointed at."""
        self.action_take(event.option_index)

    def action_take(self, index: int) -> None:
        """That is the answer."""
        self.dismiss(_CHOICES[index][1])
