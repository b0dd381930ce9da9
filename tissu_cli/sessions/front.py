"""What a place where people converse offers to the commands that are typed there."""

from collections.abc import Sequence
from typing import Protocol

from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.talk import ReplyJob, Talk


class Front(Protocol):
    """The screen, or plain lines. Texts are not yet safe to draw: the front sees to that."""

    @property
    def talk(self) -> Talk:
        """The conversation that is held."""

    def say(self, text: str) -> None:
        """A line of narration."""

    def show_rows(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Pairs of a name and what it is."""

    def start(self, job: ReplyJob) -> bool:
        """Let the model write, and draw it; False if the person wants no further reply."""

    def stop(self) -> None:
        """End whatever the model is writing, and what waits."""

    def redraw(self) -> None:
        """Another path of the conversation is shown from now on."""

    def open(self, conversation: Conversation) -> None:
        """Another conversation is held from now on."""

    def compose(self, turn: Turn) -> None:
        """Let the person write another text in a turn's place."""

    def propose(self, text: str) -> None:
        """Put a text where the person types."""

    def choose_conversation(self, words: str) -> None:
        """Show earlier conversations, those with ``words`` if there are any, to go on with one."""

    def choose_model(self) -> None:
        """Show the models of this machine, to talk to one."""

    def use_model(self, name: str) -> None:
        """Talk to another model from here on."""

    def compare(self, model: str) -> None:
        """Let another model answer the same prompt with the same seed, beside the last reply."""

    def copy(self, text: str) -> None:
        """Hand a text to the clipboard, and say what became of it."""

    def copy_code(self, reply: Turn) -> None:
        """The same with the last code block of a reply.

        Raises:
            InputError: If it has none.
        """

    def show_prompt(self) -> None:
        """What the model reads, to the letter."""

    def show_tokens(self, reply: Turn) -> None:
        """A reply token by token."""

    def show_keys(self) -> None:
        """Every key and what it does."""

    def show_log(self) -> None:
        """What the model's process wrote on its error output."""

    def show_stats(self) -> None:
        """Figures of the last reply and of the context."""

    def toggle_raw(self) -> None:
        """Show replies as they were written, or as Markdown."""

    def use_theme(self, name: str) -> None:
        """Change the colours; without a name, say which there are."""

    def leave(self) -> None:
        """End."""
