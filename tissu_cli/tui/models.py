"""The models of a conversation on the screen: loaded, changed, compared, or too large."""

from typing import TYPE_CHECKING

from tissu_cli.sessions.talk import ReplyJob
from tissu_cli.tui.dialogs import Confirming
from tissu_core.errors import OutOfMemoryError
from tissu_core.runs.chat.model import ChatModel

if TYPE_CHECKING:
    from tissu_cli.tui.chat_layout import ChatLayout

_LEAST_CONTEXT = 64
_USUAL_CONTEXT = 2048


class Models:
    """Has the engine load what the conversation needs."""

    def __init__(self, screen: "ChatLayout") -> None:
        self._screen = screen

    def use(self, name: str) -> None:
        """Talk to another model from here on; if it cannot be loaded, to the one before."""
        screen, before = self._screen, self._screen.talk.model
        screen.setup.find_model(name)
        model = screen.setup.open_model(name)

        def stay(ready: ChatModel, called: str) -> bool:
            is_wanted = screen.talk.model is model
            if is_wanted:
                self._take(ready, called)
            return is_wanted

        screen.engine.stop()
        self._take(model, name)
        screen.reports.loading()
        screen.engine.switch(before, model, name, stay)

    def _take(self, model: ChatModel, name: str) -> None:
        talk, setup = self._screen.talk, self._screen.setup
        talk.use_model(model, name)
        talk.use_settings(setup.settings_for(name))

    def load(self) -> None:
        """Load the conversation's model, and decode as its makers recommend."""
        talk, setup = self._screen.talk, self._screen.setup
        talk.use_settings(setup.settings_for(talk.conversation.model))
        self.reload()

    def reload(self) -> None:
        """Load the model anew: it is another one, or a newer checkpoint."""
        self._screen.reports.loading()
        talk = self._screen.talk
        self._screen.engine.load(talk.model, talk.conversation.model)

    def compare(self, model: str) -> None:
        """Let another model answer the same prompt with the same seed, beside the last reply."""
        from tissu_cli.tui.compare import Compare  # noqa: PLC0415  no first picture needs it

        screen, reply = self._screen, self._screen.talk.last_reply
        assert reply is not None
        screen.setup.find_model(model)
        beside = Compare(screen.setup, screen.talk, reply, model)
        screen.app.push_screen(beside, lambda _: screen.front.redraw())

    def offer_way_out(self, job: ReplyJob, error: Exception) -> None:
        """After memory ran out: a smaller context."""
        if not isinstance(error, OutOfMemoryError):
            return
        screen, talk = self._screen, self._screen.talk
        known = talk.model.facts or screen.reports.measured
        whole = known.context_tokens if known is not None else _USUAL_CONTEXT
        context = min(talk.settings.context_tokens or whole, whole)
        smaller = max(_LEAST_CONTEXT, context // 2)

        def go(answer: bool | None) -> None:  # noqa: FBT001  what a dialog gives
            if answer:
                talk.override("context_tokens", smaller)
                if talk.model.facts is None:
                    self.reload()
                talk.conversation.leaf = job.turn.id
                screen.attempt(lambda: screen.front.start(talk.answer()))

        question = f"Go on with a context of {smaller:,} tokens?"
        screen.app.push_screen(Confirming(question, error.message), go)
