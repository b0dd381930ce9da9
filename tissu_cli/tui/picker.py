"""Choosing one of many, by typing a part of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from tissu_cli.tui.keys import PICKER
from tissu_core.sanitize import sanitize_line

Deed = Literal["choose", "rename", "delete", "export"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of many; texts are made safe where they are drawn."""

    id: str
    title: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Picked:
    """What was picked, and what should be done with it."""

    choice: Choice
    deed: Deed = "choose"


class Picker(ModalScreen[Picked | None]):
    """A list that gets shorter while one types."""

    BINDINGS: ClassVar[list[BindingType]] = [*PICKER]

    def __init__(
        self,
        title: str,
        search: Callable[[str], Sequence[Choice]],
        *,
        words: str = "",
        deeds: Sequence[Deed] = (),
    ) -> None:
        super().__init__(classes="picker")
        self._title, self._search, self._words, self._deeds = title, search, words, deeds
        self._choices: Sequence[Choice] = ()

    def compose(self) -> ComposeResult:
        """A field and a list below it."""
        with Vertical():
            yield Static(Content(self._title), classes="title", markup=False)
            yield Input(self._words, placeholder="type to search", compact=True)
            yield OptionList(markup=False, compact=True)
            yield Static(Content(_hint(self._deeds)), classes="hint", markup=False)

    def on_mount(self) -> None:
        """Show everything."""
        self._fill(self._words)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Only what can be done with these."""
        return action != "deed" or parameters[0] in self._deeds

    @on(Input.Changed)
    def _on_typed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def _fill(self, words: str) -> None:
        self._choices = self._search(words)
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(_drawn(choice)) for choice in self._choices])
        options.highlighted = 0 if self._choices else None

    @on(Input.Submitted)
    def _on_submitted(self) -> None:
        self.action_deed("choose")

    @on(OptionList.OptionSelected)
    def _on_selected(self) -> None:
        self.action_deed("choose")

    def action_deed(self, deed: Deed) -> None:
        """Do it with what is highlighted."""
        index = self.query_one(OptionList).highlighted
        if index is not None:
            self.dismiss(Picked(self._choices[index], deed))

    def action_move(self, step: int) -> None:
        """Highlight another one."""
        options = self.query_one(OptionList)
        if self._choices:
            at = (options.highlighted or 0) + step
            options.highlighted = min(max(at, 0), len(self._choices) - 1)

    def action_leave(self) -> None:
        """Nothing is picked."""
        self.dismiss(None)


def _drawn(choice: Choice) -> Content:
    title = Content(sanitize_line(choice.title))
    if not choice.detail:
        return title
    return title.append(Content.styled(f"  {sanitize_line(choice.detail)}", "dim"))


def _hint(deeds: Sequence[Deed]) -> str:
    keys = {"rename": "Ctrl+T rename", "delete": "Ctrl+D delete", "export": "Ctrl+E export"}
    return " · ".join(["Enter choose", *(keys[deed] for deed in deeds), "Esc back"])
