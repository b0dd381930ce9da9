"""The chat screen's application: theme, keys, palette, clipboard, editor."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import App
from textual.screen import Screen

from tissu_cli.tui.chat_screen import ChatScreen
from tissu_cli.tui.keys import Preset, keymap
from tissu_cli.tui.safe_segments import SafeSegments
from tissu_cli.tui.shell import driver_class
from tissu_core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from textual.command import Provider

    from tissu_cli.sessions.setup import Setup
    from tissu_cli.tui.prompt import Prompt

_END_SECONDS = 3.0
_DEFAULT_THEME = "textual-dark"
_NO_COLOUR_THEME = "ansi-dark"  # marks what is chosen by reversing it


def _everything() -> "type[Provider]":
    """What the palette searches, imported when it is opened."""
    from tissu_cli.tui.palette import Everything  # noqa: PLC0415

    return Everything


class ChatApp(App[None]):
    """Holds one conversation at a time."""

    CSS_PATH = "chat.tcss"
    TITLE = "tissu chat"
    COMMANDS: ClassVar = {_everything}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (12, "-tall")]  # noqa: RUF012  as Textual has them

    def __init__(self, setup: "Setup") -> None:
        # Textual means greys by NO_COLOR, but with the terminal's own colours none at all.
        is_plain = "NO_COLOR" in os.environ
        super().__init__(driver_class=driver_class(), ansi_color=True if is_plain else None)
        self._setup = setup
        self.keys = keymap(cast("Preset", setup.chat.preset), setup.chat.keys)
        self.set_keymap(dict(self.keys))
        self.theme = self._wanted_theme()
        self.chat = ChatScreen(setup, self.keys)

    def _wanted_theme(self) -> str:
        asked, kept = self._setup.chat.theme, self._setup.history.get("theme")
        if asked and asked not in self.available_themes:
            close = nearest(asked, self.available_themes)
            raise ConfigError(
                f"there is no theme {asked!r}",
                field="chat.theme",
                hint=" or ".join(f"--theme {name}" for name in close or [_DEFAULT_THEME]),
            )
        if self.no_color:
            return _NO_COLOUR_THEME
        return asked or (kept if kept in self.available_themes else "") or _DEFAULT_THEME

    @property
    def failure(self) -> Exception | None:
        """The bug that ended the screen."""
        return self._exception

    def _print_error_renderables(self) -> None:
        """Nothing is printed here: ``failure`` is raised where all errors are shown."""

    def get_default_screen(self) -> Screen[None]:
        """The conversation."""
        return self.chat

    def on_mount(self) -> None:
        """Watch over what is drawn."""
        self._filters.append(SafeSegments())

    def begin_line(self, line: str) -> None:
        """Let the person finish a command."""
        self.chat.prompt.put(line + " ")
        self.chat.prompt.focus()

    def copy(self, text: str) -> None:
        """Hand a text to the clipboard, behind the screen: its programs may take a moment."""

        def write(sequence: str) -> None:
            if self._driver is not None:
                self.call_from_thread(self._driver.write, sequence)

        def do() -> None:
            from tissu_cli.sessions.clipboard import copy_text  # noqa: PLC0415

            copied = copy_text(text, write, os.environ)
            self.call_from_thread(self.chat.front.say, copied.message)

        self.run_worker(do, thread=True, group="copy", exit_on_error=False)

    def edit_prompt(self, prompt: "Prompt") -> None:
        """Let $VISUAL or $EDITOR edit the prompt's text."""
        words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
        if not words:
            self.chat.front.say("set $EDITOR to the editor you like")
            return
        with tempfile.TemporaryDirectory(prefix="tissu-") as folder:
            path = Path(folder) / "message.md"
            path.write_text(prompt.full_text, "utf-8", errors="surrogateescape")
            try:
                with self.suspend():
                    code = subprocess.run([*words, str(path)], check=False).returncode
            except OSError as error:
                self.chat.front.say(f"{words[0]} cannot be started: {error.strerror}")
                return
            if code:
                self.chat.front.say(f"{words[0]} ended with {code}; the message stays as it was")
                return
            prompt.put(path.read_text("utf-8", errors="replace").removesuffix("\n"))

    def close(self) -> None:
        """Keep what was typed; let the model go, and the history."""
        try:
            self.chat.drafts.keep()
        finally:
            self.chat.engine.close(_END_SECONDS)
            self.chat.talk.model.close()
            self._setup.history.close()
