"""Where the person types: grows with the text, remembers what was sent, folds what is pasted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import TextArea

from tissu_cli.render.numbers import size
from tissu_cli.tui.keys import PROMPT, SCREEN, actions
from tissu_core.sanitize import sanitize

if TYPE_CHECKING:
    from tissu_cli.tui.suggestions import Suggestion, SuggestionList

_FOLDED_CHARACTERS = 2000
_FOLDED_LINES = 20
"""Pasted text beyond either is one word in the prompt, so that a megabyte is not laid out there."""


class Prompt(TextArea):
    """A text area whose Enter sends.

    Control characters of pasted text are sent as they are, and are visible stand-ins here.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*PROMPT]
    HELP = """Type a message and send it with Enter; Ctrl+J begins a new line. `/` begins a command.
While the model writes, what you send waits its turn. Up and Down, at the edges, bring back what was
sent before, Ctrl+R searches it, Ctrl+G opens your $EDITOR."""

    @dataclass
    class Sent(Message):
        """The person sends a message."""

        text: str

    @dataclass
    class Edited(Message):
        """The text changed."""

        text: str

    @dataclass
    class Asked(Message):
        """Something that is not the prompt's own: ``editor``, ``history``, a page up."""

        what: str

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__(
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            compact=True,
            highlight_cursor_line=False,
            placeholder="Message, or / for commands",
            id="prompt",
        )
        self.sent: Sequence[str] = ()
        """What was sent before, the newest first."""
        self.popup: SuggestionList | None = None
        """What may be typed; while it is open, Up, Down, Tab and Enter are its."""
        anywhere = actions([each for each in SCREEN if each.id in keys], keys)
        self._actions = (
            actions(TextArea.BINDINGS, {})
            | {key: f"screen.{action}" for key, action in anywhere.items()}
            | actions(PROMPT, keys)
        )
        self._at = -1
        self._kept = ""
        self._pasted: dict[str, str] = {}

    @property
    def full_text(self) -> str:
        """What will be sent: pasted text in its place."""
        text = self.text
        for name, pasted in self._pasted.items():
            text = text.replace(name, pasted)
        return text

    def put(self, text: str) -> None:
        """Replace the text, the cursor at its end; a long one is folded."""
        self._pasted.clear()
        self.load_text(self._fold(text))
        self.move_cursor(self.document.end)

    def _fold(self, text: str) -> str:
        num_lines = text.count("\n") + 1
        safe = sanitize(text)
        if len(text) <= _FOLDED_CHARACTERS and num_lines <= _FOLDED_LINES and safe == text:
            return text
        number = len(self._pasted) + 1
        shown = size(len(text.encode("utf-8", "surrogatepass")))
        name = f"[pasted {number}: {shown}, {num_lines:,} lines]"
        self._pasted[name] = text
        return name

    async def _on_key(self, event: events.Key) -> None:
        # Where bindings are looked at, keys typed after this one may have been taken before it.
        action = self._actions.get(event.key)
        if action is not None:
            event.prevent_default()
            event.stop()
            await self.run_action(action)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        self.replace(self._fold(text), *self.selection, maintain_selection_offset=False)
        self.focus()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Tell of the new text."""
        event.stop()
        self.post_message(self.Edited(self.text))

    def action_send(self) -> None:
        """Send the text, if there is any."""
        if (chosen := self._chosen) is not None and not self._take(chosen):
            return
        text = self.full_text
        if not text.strip():
            return
        self._at, self._kept = -1, ""
        self.put("")
        self.post_message(self.Sent(text))

    @property
    def _chosen(self) -> "Suggestion | None":
        """The suggestion that is highlighted, if it is one for the text as it is by now."""
        return self.popup.chosen_for(self.text) if self.popup is not None else None

    def _take(self, chosen: "Suggestion") -> bool:
        """Put a suggestion in the text's place; whether nothing need follow it."""
        is_typed = self.text.strip() == chosen.text
        needs_more = not chosen.is_whole and not chosen.text.endswith("=")
        self.put(chosen.text + (" " if needs_more and not is_typed else ""))
        return chosen.is_whole or is_typed

    def action_newline(self) -> None:
        """Begin a new line."""
        self.insert("\n")

    def action_up(self) -> None:
        """The line above, or at the top the prompt sent before."""
        if self.popup is not None and self._chosen is not None:
            self.popup.move(-1)
        elif self.cursor_location[0] > 0:
            self.action_cursor_up()
        elif self._at + 1 < len(self.sent):
            self._recall(self._at + 1)

    def action_down(self) -> None:
        """The line below, or at the bottom the prompt sent after."""
        if self.popup is not None and self._chosen is not None:
            self.popup.move(1)
        elif self.cursor_location[0] < self.document.line_count - 1:
            self.action_cursor_down()
        elif self._at >= 0:
            self._recall(self._at - 1)

    def _recall(self, index: int) -> None:
        if self._at < 0:
            self._kept = self.full_text
        self._at = index
        self.put(self._kept if index < 0 else self.sent[index])

    def action_editor(self) -> None:
        """Edit the text in $EDITOR."""
        self.post_message(self.Asked("editor"))

    def action_history(self) -> None:
        """Search what was sent before."""
        self.post_message(self.Asked("history"))

    def action_complete(self) -> None:
        """Complete a command."""
        if (chosen := self._chosen) is not None:
            self._take(chosen)

    def action_scroll(self, pages: int) -> None:
        """Scroll the conversation."""
        self.post_message(self.Asked("page up" if pages < 0 else "page down"))
