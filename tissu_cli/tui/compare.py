"""Two models side by side: the same prompt, the same settings, the same seed."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from tissu_cli.sessions.conversation import Turn
from tissu_cli.sessions.setup import Setup
from tissu_cli.sessions.talk import Talk
from tissu_cli.tui.engine import Ended, Engine, LoadFailed, Loading, Report, Said
from tissu_cli.tui.keys import COMPARE
from tissu_cli.tui.reply_body import ReplyBody
from tissu_core.errors import TissuError
from tissu_core.events.replies import ModelLoaded, TokenGenerated
from tissu_core.events.shared import StageAdvanced
from tissu_core.sanitize import sanitize, sanitize_line

if TYPE_CHECKING:
    from tissu_cli.sessions.talk import ReplyJob

_FRAMES_A_SECOND = 30
_END_SECONDS = 2.0


class _Column(Vertical):
    """A reply, and who wrote it."""

    def __init__(self, name: str) -> None:
        super().__init__(classes="column")
        self._title = Static(Content(sanitize_line(name)), classes="title", markup=False)
        self.body = ReplyBody()

    def compose(self) -> ComposeResult:
        """A title, and the text below it."""
        yield self._title
        with VerticalScroll(can_focus=True):
            yield self.body

    def append(self, text: str) -> None:
        """A piece of a reply, and look at it."""
        self.body.append(text)
        self.query_one(VerticalScroll).scroll_end(animate=False)

    def call_it(self, name: str) -> None:
        """Write another title."""
        self._title.update(Content(sanitize_line(name)))


class Compare(ModalScreen[None]):
    """The reply that is there on the left, the other model's on the right.

    The other reply is kept as a version beside the first one, so that liking one of them makes a
    preference.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*COMPARE]

    def __init__(self, setup: Setup, talk: Talk, reply: Turn, model: str) -> None:
        super().__init__(classes="compare")
        self._talk, self._reply, self._model_name = talk, reply, model
        self._leaf = talk.conversation.leaf
        self._model = setup.open_model(model)
        self._other = talk.beside(self._model)
        self._engine = Engine()
        self._job: ReplyJob | None = None
        self._columns = (_Column(_titled(reply)), _Column(model))

    def compose(self) -> ComposeResult:
        """The question, and two columns."""
        parent = self._talk.conversation.turns[self._reply.parent or ""]
        question = sanitize(parent.text)
        yield Static(Content(question[:2000]), classes="question", markup=False)
        with Horizontal():
            yield from self._columns
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Draw the one, load the other."""
        self._columns[0].body.set_text(self._reply.text)
        self._engine.load(self._model)
        self.set_interval(1 / _FRAMES_A_SECOND, self._read)

    def _read(self) -> None:
        while self._engine.reports:
            self._take(self._engine.reports.popleft())

    def _take(self, report: Report) -> None:
        column = self._columns[1]
        match report:
            case Loading(StageAdvanced() as stage):
                share = f" {stage.done / stage.total:.0%}" if stage.total else ""
                column.call_it(f"{self._model_name}: {stage.stage}{share}")
            case Loading(ModelLoaded() as facts):
                column.call_it(facts.name)
                self._job = self._other.answer_alike(self._reply)
                self._engine.write(self._other, self._job)
            case LoadFailed(error) | Ended(error=Exception() as error):
                column.call_it(f"{self._model_name}: {_reason(error)}")
            case Said(event=TokenGenerated() as token):
                column.append(token.text)
            case Ended(job=job):
                column.body.finish()
                column.call_it(_titled(job.turn))
            case _:
                pass

    def action_like(self, number: int) -> None:
        """One reply is better: it is rated as good, the other as it was."""
        if self._job is None or self._job.turn.state == "writing":
            return
        chosen, other = self._reply, self._job.turn
        if number == 2:
            chosen, other = other, chosen
        chosen.rating, other.rating = 1, 0
        for turn in (chosen, other):
            self._talk.history.rate(self._talk.conversation, turn)
        self._columns[number - 1].call_it(f"{_titled(chosen)} · + better")
        self._columns[2 - number].call_it(_titled(other))

    def action_leave(self) -> None:
        """Back to the conversation, which shows what it showed."""
        self._engine.stop()
        self._engine.do(self._model.close)
        self._engine.close(_END_SECONDS)
        if self._job is not None:
            self._other.drop_unsaid(self._job.turn)
        self._talk.conversation.leaf = self._leaf
        self._talk.keep()
        self.dismiss(None)


def _titled(turn: Turn) -> str:
    if turn.end is None:
        return turn.model
    speed = f"{turn.end.tokens_per_second:.1f} tok/s"
    return f"{turn.model} · {turn.end.new_tokens:,} tokens · {speed}"


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, TissuError) else str(error)
