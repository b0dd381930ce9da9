"""What commands do on the screen."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.figures import figures
from tissu_cli.sessions.slash import help_lines
from tissu_cli.sessions.talk import ReplyJob, Talk
from tissu_cli.tui.dialogs import Reading, prompt_content, rows_content
from tissu_cli.tui.keys import described
from tissu_core.errors import InputError, TissuError
from tissu_core.sanitize import sanitize

if TYPE_CHECKING:
    from tissu_cli.tui.app import ChatApp
    from tissu_cli.tui.chat_layout import ChatLayout

_SECONDS = 6.0


class ScreenFront:
    """A ``Front`` that is a screen."""

    def __init__(self, screen: "ChatLayout") -> None:
        self._screen = screen
        self._kept_until = 0.0

    @property
    def talk(self) -> Talk:
        """The conversation that is held."""
        return self._screen.talk

    @property
    def _app(self) -> "ChatApp":
        return self._screen.app  # type: ignore[return-value]  # the only app with this screen

    # What is told.

    def say(self, text: str) -> None:
        """A line of narration; the one before it has been read, but not an error."""
        if time.monotonic() > self._kept_until:
            self._app.clear_notifications()
        self._app.notify(sanitize(text), markup=False, timeout=_SECONDS)

    def warn(self, text: str) -> None:
        """A line that should not be overlooked."""
        self._kept_until = time.monotonic() + 2 * _SECONDS
        self._app.notify(sanitize(text), severity="warning", markup=False, timeout=2 * _SECONDS)

    def refuse(self, error: TissuError) -> None:
        """Tell what cannot be done, and what can."""
        text = f"{error.message}\n{error.hint}"
        self._kept_until = time.monotonic() + 2 * _SECONDS
        self._app.notify(sanitize(text), severity="error", markup=False, timeout=2 * _SECONDS)

    def _read(self, text: Reading) -> None:
        """Show a text."""
        self._clear()
        self._app.push_screen(text)

    def _clear(self) -> None:
        """Take away what was told before: it would lie over what is opened."""
        self._app.clear_notifications()

    def show_rows(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Pairs of a name and what it is."""
        self._read(Reading(title, rows_content(rows)))

    def show_help(self) -> None:
        """Help for what has the focus, and the commands."""
        focused = self._screen.focused
        here = getattr(focused, "HELP", None) or self._screen.prompt.HELP
        rows = rows_content([*described(self._app.keys), ("", ""), *help_lines()])
        content = Content(" ".join(here.split())).append("\n\n").append(rows)
        self._read(Reading("help", content))

    def show_keys(self) -> None:
        """Every key and what it does."""
        self.show_rows("keys", described(self._app.keys))

    def show_log(self) -> None:
        """What the model's process wrote on its error output."""
        log = getattr(self.talk.model, "log_tail", lambda: "")()
        content = Content(sanitize(log or "(empty)"))
        self._read(Reading("the model's log", content, is_from_end=True))

    def show_stats(self) -> None:
        """Figures of the last reply and of the context."""
        self.show_rows("figures", figures(self.talk, self._screen.reports.measured))

    def show_prompt(self) -> None:
        """What the model reads, to the letter."""
        if self.talk.model.facts is None:
            raise InputError("the model is not loaded yet", hint="wait a moment, then /prompt")

        def ask() -> None:
            try:
                shown = self.talk.show_prompt()
            except TissuError as error:
                self._app.call_from_thread(self.refuse, error)
                return
            content = prompt_content(shown.pieces, shown.ids, shown.tokens)
            self._app.call_from_thread(self._read, Reading("the prompt", content))

        self._screen.run_worker(ask, thread=True, group="prompt", exit_on_error=False)

    # What is drawn.

    def redraw(self) -> None:
        """Another path of the conversation is shown."""
        self._screen.run_worker(self.draw(is_anew=False), group="draw", exclusive=False)

    async def draw(self, *, is_anew: bool = True) -> None:
        """Draw the conversation, from nothing or what changed."""
        await self._screen.transcript.show(self.talk.conversation, is_anew=is_anew)
        self._screen.reports.draw()
        self._screen.reports.measure_soon()
        if is_anew:
            self._screen.transcript.follow()

    def start(self, job: ReplyJob) -> bool:
        """Let the model write, and draw it."""
        self._screen.engine.write(self.talk, job)
        self.redraw()
        return True

    def stop(self) -> None:
        """End what is being written."""
        self._screen.engine.stop()

    def toggle_raw(self) -> None:
        """Show replies as they were written, or as Markdown."""
        self.show_raw(is_raw=not self._screen.transcript.is_raw)

    def show_raw(self, *, is_raw: bool) -> None:
        """The same; a base model continues a text that is seldom Markdown."""
        if is_raw != self._screen.transcript.is_raw:
            self._screen.transcript.is_raw = is_raw
            self._screen.run_worker(self.draw(), group="draw")

    def use_theme(self, name: str) -> None:
        """Change the colours, from a list if none is named."""
        if not name:
            self._app.search_themes()
            return
        if name not in self._app.available_themes:
            raise InputError(f"there is no theme {name!r}", hint="/theme")
        self._app.theme = name
        self.talk.history.set("theme", name)

    # Conversations.

    def open(self, conversation: Conversation) -> None:
        """Another conversation is held from now on."""
        screen, talk = self._screen, self.talk
        screen.drafts.keep()
        talk.history.hold(conversation.id)
        screen.engine.stop()
        screen.sending.forget()
        self.stop_editing()
        self.close_lens()
        screen.talk = talk.with_conversation(conversation)
        talk.history.release(talk.conversation.id)
        screen.prompt.put("")
        screen.prompt.focus()
        screen.drafts.restore()
        screen.run_worker(self.draw(), group="draw")
        if conversation.model and conversation.model != talk.conversation.model:
            self.use_model(conversation.model)

    def choose_conversation(self, words: str) -> None:
        """Show earlier conversations, to go on with one."""
        from tissu_cli.tui import pickers  # noqa: PLC0415  no first picture needs it

        self._clear()
        pickers.choose_conversation(self._screen, words)

    def search_prompts(self) -> None:
        """Search what was sent before."""
        from tissu_cli.tui import pickers  # noqa: PLC0415

        self._clear()
        pickers.search_prompts(self._screen)

    def choose_model(self) -> None:
        """Show the models of this machine."""
        from tissu_cli.tui import pickers  # noqa: PLC0415

        self._clear()
        pickers.choose_model(self._screen)

    def use_model(self, name: str) -> None:
        """Talk to another model from here on."""
        self._screen.models.use(name)

    def compare(self, model: str) -> None:
        """Let another model answer the same prompt with the same seed, beside the last reply."""
        self._screen.models.compare(model)

    # Turns and their tokens.

    def compose(self, turn: Turn) -> None:
        """Let the person write another text in a turn's place."""
        prompt = self._screen.prompt
        self._screen.editing = turn
        prompt.put(turn.text)
        prompt.border_title = "another version: Enter takes it, Esc leaves it"
        prompt.add_class("-editing")
        prompt.focus()

    def stop_editing(self) -> None:
        """The text is taken, or left."""
        prompt = self._screen.prompt
        if self._screen.editing is not None:
            self._screen.editing = None
            prompt.remove_class("-editing")
            prompt.put("")

    def propose(self, text: str) -> None:
        """Put a text where the person types."""
        self._screen.prompt.put(text)

    def open_editor(self) -> None:
        """Edit the prompt in $EDITOR."""
        self._app.edit_prompt(self._screen.prompt)

    def show_tokens(self, reply: Turn) -> None:
        """A reply token by token."""
        view = self._screen.transcript.view_of(reply)
        if view is None or not reply.tokens:
            raise InputError("no token of this reply is known", hint="/retry, then F3")
        if self._screen.lens.display:
            self.close_lens()
            return
        lens = self._screen.lens
        lens.look_at(reply, 0)
        lens.display = True
        lens.focus()
        self.mark_token(0)

    def mark_token(self, index: int) -> None:
        """Show where the lens looks."""
        turn = self._screen.lens.turn
        view = self._screen.transcript.view_of(turn) if turn else None
        if turn is not None and view is not None:
            view.look(turn.tokens, index)

    def close_lens(self) -> None:
        """Show replies as they are."""
        lens = self._screen.lens
        if lens.display:
            lens.display = False
            view = self._screen.transcript.view_of(lens.turn) if lens.turn else None
            if view is not None:
                view.look(None, None)
            self._screen.prompt.focus()

    def copy(self, text: str) -> None:
        """Hand a text to the clipboard, and say what became of it."""
        self._app.copy(text)

    def copy_code(self, reply: Turn) -> None:
        """Copy the last code block of a reply."""
        view = self._screen.transcript.view_of(reply)
        blocks = view.body.code_blocks() if view is not None else []
        if not blocks:
            raise InputError("this reply has no code block", hint="y copies all of it")
        self.copy(blocks[-1])

    def show_settings(self) -> None:
        """The decoding settings."""
        from tissu_cli.tui.settings_panel import SettingsPanel  # noqa: PLC0415

        self._clear()
        self._app.push_screen(SettingsPanel(self.talk), lambda _: self.redraw())

    def leave(self) -> None:
        """End; what is typed and not sent is kept."""
        self._screen.attempt(self._screen.drafts.keep)
        self._app.exit()
