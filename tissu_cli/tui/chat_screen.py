"""What is typed, pressed and clicked on the screen of a conversation."""

import time
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.binding import BindingType

from tissu_cli.tui.chat_layout import ChatLayout
from tissu_cli.tui.keys import SCREEN
from tissu_cli.tui.prompt import Prompt
from tissu_cli.tui.turn_messages import Moved, TokenPicked, Wanted

if TYPE_CHECKING:
    from tissu_cli.tui.lens import LensPanel

_TWICE_SECONDS = 1.0


class ChatScreen(ChatLayout):
    """Carries out what the person does."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCREEN]
    _last_escape = _last_interrupt = -_TWICE_SECONDS

    # What is typed.

    @on(Prompt.Sent)
    def _on_sent(self, event: Prompt.Sent) -> None:
        if self.is_complete:
            self.sending.take(event.text)
        else:
            self.early.append(event.text)

    @on(Prompt.Edited)
    def _on_edited(self, event: Prompt.Edited) -> None:
        if not self.is_complete:
            return
        if self.editing is None:
            self.suggestion_list.suggest(event.text)
        else:
            self.suggestion_list.offer(())
        self.drafts.note()
        self.reports.measure_soon()

    @on(Prompt.Asked)
    def _on_asked(self, event: Prompt.Asked) -> None:
        match event.what:
            case "editor":
                self.front.open_editor()
            case "history":
                self.front.search_prompts()
            case "page up":
                self.transcript.scroll_page_up(animate=False)
            case "page down":
                self.transcript.scroll_page_down(animate=False)
            case _:
                raise AssertionError(event.what)

    # What is done with a turn.

    @on(Wanted)
    def _on_wanted(self, event: Wanted) -> None:
        self.attempt(lambda: self.wishes.do(event.turn, event.wish))

    @on(Moved)
    def _on_moved(self, event: Moved) -> None:
        views = self.transcript.views
        here = next((n for n, view in enumerate(views) if view.turn is event.turn), 0)
        if here + event.step >= len(views) and event.step == 1:
            self.prompt.focus()
        else:
            views[min(max(here + event.step, 0), len(views) - 1)].focus()

    # Token Lens; what it says is taken by name, since it is imported behind the first picture.

    def on_lens_panel_moved(self, event: "LensPanel.Moved") -> None:
        """Mark the token that it looks at."""
        self.front.mark_token(event.index)

    @on(TokenPicked)
    def _on_token_picked(self, event: TokenPicked) -> None:
        if self.lens.turn is not None:
            self.lens.look_at(self.lens.turn, event.index)
            self.front.mark_token(event.index)
            self.lens.focus()

    def on_lens_panel_taken(self, event: "LensPanel.Taken") -> None:
        """Go on from another token."""
        self.attempt(lambda: self.wishes.take_token(event))

    def on_lens_panel_left(self) -> None:
        """Show the reply as it is."""
        self.front.close_lens()

    # Keys that hold anywhere.

    def on_key(self, event: events.Key) -> None:
        """Letters typed anywhere go to the prompt, unless they do something there."""
        is_free = event.is_printable and event.key not in self.active_bindings
        if is_free and event.character:  # typed elsewhere, or before anything had the focus
            self.prompt.focus()
            self.prompt.insert(event.character)
            event.stop()

    def on_paste(self, event: events.Paste) -> None:
        """So does what is pasted."""
        if self.focused is not self.prompt:
            self.prompt.focus()
            self.prompt.post_message(event)

    def action_stop(self) -> None:
        """Stop the reply; else leave what is open, and twice edit the last message."""
        if self.is_complete and self.suggestion_list.is_open:
            self.suggestion_list.offer(())
        elif self.editing is not None:
            self.front.stop_editing()
        elif self.is_writing:
            self.engine.stop()
        elif self.focused is not self.prompt:
            self.prompt.focus()
        elif time.monotonic() - self._last_escape < _TWICE_SECONDS:
            self.obey("/edit")
        self._last_escape = time.monotonic()

    def action_interrupt(self) -> None:
        """Copy what is selected; else stop the reply; else, twice, leave."""
        selected = self.get_selected_text() or self.prompt.selected_text
        if selected:
            self.front.copy(selected)
        elif self.is_writing:
            self.engine.stop()
        elif time.monotonic() - self._last_interrupt < _TWICE_SECONDS:
            self.front.leave()
        else:
            self.front.say("Ctrl+C again leaves")
            self._last_interrupt = time.monotonic()

    def action_lens(self) -> None:
        """Show the focused reply, or the last one, token by token."""
        if view := self.transcript.focused_view:
            view.action_lens()
        else:
            self.obey("/tokens")

    def action_turns(self, step: int) -> None:
        """Focus the turn before or after."""
        views = self.transcript.views
        if view := self.transcript.focused_view:
            view.action_move(step)
        elif views and step < 0:
            views[-1].focus()

    def action_help(self) -> None:
        """Help for where one is."""
        self.front.show_help()

    def action_settings(self) -> None:
        """The decoding settings."""
        self.front.show_settings()

    def action_new(self) -> None:
        """Another conversation."""
        self.obey("/new")

    def action_sessions(self) -> None:
        """Earlier conversations."""
        self.obey("/sessions")

    def action_palette(self) -> None:
        """Everything, to be searched."""
        self.app.action_command_palette()

    async def action_top(self) -> None:
        """The first turn; earlier ones are drawn if they are not."""
        await self.transcript.show_earlier(self.talk.conversation)
        self.transcript.scroll_home(animate=False)

    def action_bottom(self) -> None:
        """The end, and stay there."""
        self.transcript.follow()

    def action_leave(self) -> None:
        """End."""
        self.front.leave()
