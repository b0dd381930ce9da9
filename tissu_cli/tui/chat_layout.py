"""The screen of a conversation: its parts, and what they share.

The first picture waits for as little as can be: who acts on what is drawn, and what it does not
show, is made and imported behind it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Footer, Static

from tissu_cli.tui.drafts import Drafts
from tissu_cli.tui.garbage import settle
from tissu_cli.tui.prompt import Prompt
from tissu_cli.tui.status import StatusLine, TopLine
from tissu_cli.tui.transcript import Transcript
from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import TissuError

if TYPE_CHECKING:
    from tissu_cli.sessions.conversation import Turn
    from tissu_cli.sessions.setup import Setup
    from tissu_cli.sessions.talk import Talk
    from tissu_cli.tui.engine import Engine
    from tissu_cli.tui.lens import LensPanel
    from tissu_cli.tui.models import Models
    from tissu_cli.tui.reports import Reports
    from tissu_cli.tui.screen_front import ScreenFront
    from tissu_cli.tui.sending import Sending
    from tissu_cli.tui.suggestions import SuggestionList
    from tissu_cli.tui.wishes import Wishes

_FRAMES_A_SECOND = 30


class ChatLayout(Screen[None]):
    """Lays out the conversation; those who draw on it and act on it are its members."""

    def __init__(self, setup: "Setup", keys: Mapping[str, str]) -> None:
        super().__init__()
        self.setup, self.keys = setup, keys
        self.drafts = Drafts(self)
        self.editing: Turn | None = None
        """The turn that another text is being written for."""
        self.is_complete = False
        """Whether all parts are there; what is typed before is kept."""
        self.model_names: Sequence[str] = ()
        """Models of this machine, once they were looked for."""
        self.early: list[str] = []
        """What was sent before all parts were there, and it was known how the model decodes."""
        self.queued: list[str] = []
        """Messages that wait for the reply that is being written."""

    # Who acts on what is drawn.

    @cached_property
    def talk(self) -> "Talk":
        """The conversation and its model."""
        from tissu_cli.sessions.talk import Talk  # noqa: PLC0415
        from tissu_cli.tui.lens import SHOWN  # noqa: PLC0415

        setup, conversation = self.setup, self.setup.conversation
        model = setup.open_model(conversation.model)
        return Talk(model, setup.history, conversation, DecodingConfig(), top_logprobs=SHOWN)

    @cached_property
    def engine(self) -> "Engine":
        """Where the model loads and writes."""
        from tissu_cli.tui.engine import Engine  # noqa: PLC0415

        return Engine()

    @cached_property
    def front(self) -> "ScreenFront":
        """What commands do here."""
        from tissu_cli.tui.screen_front import ScreenFront  # noqa: PLC0415

        return ScreenFront(self)

    @cached_property
    def models(self) -> "Models":
        """Who answers."""
        from tissu_cli.tui.models import Models  # noqa: PLC0415

        return Models(self)

    @cached_property
    def reports(self) -> "Reports":
        """What the engine says."""
        from tissu_cli.tui.reports import Reports  # noqa: PLC0415

        return Reports(self)

    @cached_property
    def sending(self) -> "Sending":
        """What becomes of what is sent."""
        from tissu_cli.tui.sending import Sending  # noqa: PLC0415

        return Sending(self)

    @cached_property
    def wishes(self) -> "Wishes":
        """What is asked of a turn."""
        from tissu_cli.tui.wishes import Wishes  # noqa: PLC0415

        return Wishes(self)

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield TopLine()
        yield Transcript()
        yield Prompt(self.keys)
        yield StatusLine()
        yield Vertical(id="foot")

    @property
    def transcript(self) -> Transcript:
        """The turns."""
        return self.query_one(Transcript)

    @property
    def prompt(self) -> Prompt:
        """Where the person types."""
        return self.query_one(Prompt)

    @property
    def lens(self) -> "LensPanel":
        """The token under the cursor."""
        return self.query_one("#lens-panel")  # type: ignore[return-value]  # imported later

    @property
    def suggestion_list(self) -> "SuggestionList":
        """What may follow what was typed."""
        return self.query_one("#suggestions")  # type: ignore[return-value]

    @property
    def is_writing(self) -> bool:
        """Whether a reply is being written, or waits to be."""
        return self.is_complete and self.engine.waiting > 0

    def on_mount(self) -> None:
        """Draw what there is; what the first picture does not show comes behind it."""
        self.prompt.focus()
        self.call_after_refresh(self._complete)

    async def _complete(self) -> None:
        from tissu_cli.tui.lens import LensPanel  # noqa: PLC0415
        from tissu_cli.tui.suggestions import SuggestionList  # noqa: PLC0415

        await self.mount(LensPanel(), after=self.transcript)
        await self.mount(Static("", id="queue", markup=False), SuggestionList(), before=self.prompt)
        self.suggestion_list.offer(())
        self.prompt.popup = self.suggestion_list
        await self.query_one("#foot").mount(Footer(compact=True, show_command_palette=False))
        # A new conversation is nobody else's, so that it may be held as late as this.
        self.attempt(lambda: self.setup.history.hold(self.setup.conversation.id))
        self.models.load()
        self.drafts.restore()
        self.refresh_bindings()  # the footer waits for them
        self.is_complete = True
        self.reports.begin()
        self.set_interval(1 / _FRAMES_A_SECOND, self.reports.read)
        await self.front.draw()
        for text in self.early:
            self.sending.take(text)
        settle()
        self.run_worker(self.look_for_models, thread=True, group="models", exit_on_error=False)

    def look_for_models(self) -> None:
        """Find the models of this machine; other programs' may be many, so not while one types."""
        self.model_names = self.setup.model_names()

    def attempt(self, deed: Callable[[], object]) -> None:
        """Do something; what cannot be done is told."""
        try:
            deed()
        except TissuError as error:
            self.front.refuse(error)

    def resume(self, id: str) -> None:
        """Go on with an earlier conversation."""
        from tissu_cli.sessions.actions import open_conversation  # noqa: PLC0415

        self.attempt(lambda: open_conversation(self.front, id))

    def obey(self, line: str) -> None:
        """Carry out a command as if it were typed."""
        from tissu_cli.sessions.actions import obey  # noqa: PLC0415

        self.attempt(lambda: obey(line, self.front))
