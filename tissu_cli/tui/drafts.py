"""What is typed and not yet sent, kept through an end of any kind."""

from typing import TYPE_CHECKING

from textual.timer import Timer

if TYPE_CHECKING:
    from tissu_cli.tui.chat_layout import ChatLayout

_SECONDS = 0.7
_NEW = "draft"
"""The draft of a conversation that has no turn yet."""


class Drafts:
    """Keeps the prompt's text, a moment after it changes."""

    def __init__(self, screen: "ChatLayout") -> None:
        self._screen = screen
        self._timer: Timer | None = None
        self._text: str | None = None  # also known once the prompt is gone; None: not yet
        self._was_new = False

    def restore(self) -> None:
        """Bring back what was typed in this conversation."""
        talk, prompt = self._screen.talk, self._screen.prompt
        prompt.sent = talk.history.prompts(200)
        draft = talk.conversation.draft
        if not talk.conversation.turns:
            draft = draft or talk.history.get(_NEW) or ""
        if draft and not prompt.text:
            prompt.put(draft)
        self._text = prompt.full_text

    def note(self) -> None:
        """The text changed: keep it soon."""
        self._text = self._screen.prompt.full_text
        if self._timer is None:
            self._timer = self._screen.set_timer(_SECONDS, self._keep_behind)

    def _keep_behind(self) -> None:
        self._timer = None
        self._screen.run_worker(self.keep, thread=True, group="draft", exit_on_error=False)

    def keep(self) -> None:
        """Keep the text, and the messages that wait, now."""
        if self._text is None:
            return
        text = "\n".join([*self._screen.queued, self._text])
        talk, was_new, self._was_new = self._screen.talk, self._was_new, False
        if talk.conversation.turns:
            if text != talk.conversation.draft or was_new:
                talk.conversation.draft = text
                talk.history.save(talk.conversation)
            if was_new:
                talk.history.set(_NEW, "")
        elif text != (talk.history.get(_NEW) or ""):
            talk.history.set(_NEW, text)

    def forget(self) -> None:
        """The text was sent, or was a command."""
        self._was_new |= not self._screen.talk.conversation.turns
        self.note()
