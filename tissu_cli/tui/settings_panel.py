"""The decoding settings of a conversation, changed while it is held."""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tissu_cli.sessions.chat_settings import FIELDS, described, parse_setting
from tissu_cli.sessions.talk import Talk
from tissu_cli.tui.keys import PANEL
from tissu_core.errors import ConfigError
from tissu_core.sanitize import sanitize_line

_LISTS = ("logit_bias", "ban_words", "stop")
"""Settings of several texts: changed on the command line or in a file."""


class SettingsPanel(ModalScreen[None]):
    """A field for each setting; what is typed holds at once, or is told to be wrong."""

    BINDINGS: ClassVar[list[BindingType]] = [*PANEL]

    def __init__(self, talk: Talk) -> None:
        super().__init__(classes="panel")
        self._talk = talk

    def compose(self) -> ComposeResult:
        """Names and fields; what a setting does stands below."""
        with Vertical():
            yield Static(Content("settings of this conversation"), classes="title", markup=False)
            with VerticalScroll(can_focus=False):
                for name in FIELDS:
                    if name not in _LISTS:
                        with Horizontal(classes="setting"):
                            yield Static(Content(name), markup=False)
                            yield Input(self._value(name), id=f"set-{name}", compact=True)
            yield Static("", id="setting-help", markup=False)
            yield Static(Content("Ctrl+R default · Esc back"), classes="hint", markup=False)

    def _value(self, name: str) -> str:
        value = getattr(self._talk.settings, name)
        return "" if value is None else str(value).lower() if value in (True, False) else str(value)

    def on_mount(self) -> None:
        """Begin with the first one that people turn."""
        self.query_one("#set-temperature", Input).focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Tell what the setting does."""
        if isinstance(event.widget, Input):
            self._tell(described(_name_of(event.widget)))

    def _tell(self, text: str, style: str = "dim") -> None:
        self.query_one("#setting-help", Static).update(Content.styled(sanitize_line(text), style))

    @on(Input.Changed)
    def _on_typed(self, event: Input.Changed) -> None:
        name = _name_of(event.input)
        if event.value == self._value(name):
            return
        try:
            _, value = parse_setting(f"{name}={event.value}")
            if value is not None or name in self._talk.conversation.settings:
                self._talk.override(name, value)
        except ConfigError as error:
            event.input.add_class("-wrong")
            self._tell(f"{error.message}: {error.hint}", "$text-error")
        else:
            event.input.remove_class("-wrong")
            self._tell(described(name))

    @on(Input.Submitted)
    def _on_submitted(self) -> None:
        self.focus_next()

    def action_reset(self) -> None:
        """Take back what was set here for the focused setting."""
        field = self.focused
        if isinstance(field, Input):
            name = _name_of(field)
            if name in self._talk.conversation.settings:
                self._talk.override(name, None)
            field.value = self._value(name)

    def action_leave(self) -> None:
        """Back to the conversation."""
        self.dismiss(None)


def _name_of(field: Input) -> str:
    return str(field.id).removeprefix("set-")
