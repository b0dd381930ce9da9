"""What the engine says, drawn at the screen's own pace."""

import time
from typing import TYPE_CHECKING

from textual.timer import Timer

from tissu_cli.sessions.conversation import Turn
from tissu_cli.sessions.talk import ReplyJob, Talk
from tissu_cli.tui.engine import Began, Ended, LoadFailed, Loading, Report, Said, Stayed
from tissu_cli.tui.figures_line import FiguresLine
from tissu_cli.tui.speed import Speed
from tissu_cli.tui.status import StatusLine, TopLine
from tissu_core.errors import TissuError
from tissu_core.events.replies import (
    ChatEvent,
    ContextMeasured,
    ContextTrimmed,
    GenerationFinished,
    ModelLoaded,
    ReplyResumed,
    TokenGenerated,
)
from tissu_core.events.shared import Noticed, StageAdvanced

if TYPE_CHECKING:
    from tissu_cli.tui.chat_layout import ChatLayout

_STATUS_SECONDS = 0.25
_MEASURE_SECONDS = 0.3
_FOLLOW_SECONDS = 2.0


class Reports:
    """Reads the engine's reports; keeps the figures of the line below."""

    def __init__(self, screen: "ChatLayout") -> None:
        self._screen = screen
        self.measured: ContextMeasured | None = None
        self.speed: Speed | None = None
        self.seed: int | None = None
        self._stage: StageAdvanced | None = None
        self._is_loading = True
        self._trouble = ""
        self._grown: set[str] = set()
        self._last_drawn = self._read_at = 0.0
        self._measure_timer: Timer | None = None
        self._seen: object = None
        self._has_template = True
        self._num_told = 0
        self._written: Turn | None = None

    def begin(self) -> None:
        """Draw the lines, and follow a run if one is followed."""
        self.draw()
        newest = self._screen.setup.newest
        if newest is not None:
            self._seen = newest()
            self._screen.set_interval(_FOLLOW_SECONDS, self._look_for_newer)

    def loading(self) -> None:
        """A model is loaded anew."""
        self._is_loading, self._trouble, self._stage = True, "", None
        self.draw()

    def read(self) -> None:
        """Take what was said since the last time."""
        self._read_at = time.monotonic()
        reports = self._screen.engine.reports
        while reports:
            self._take(reports.popleft())
        self._flush()
        if self._read_at - self._last_drawn > _STATUS_SECONDS and (
            self._screen.is_writing or self._is_loading
        ):
            self.draw()

    def _take(self, report: Report) -> None:
        match report:
            case Loading():
                self._take_loading(report.event)
            case LoadFailed():
                self._is_loading = False
                self._tell_error(report.error)
                self._trouble = "no model: /model NAME, or see /log"
                self.draw()
            case Stayed():
                self._is_loading, self._trouble = False, ""
                self._tell_error(report.error)
                self._screen.front.say(f"this conversation goes on with {report.facts.name}")
                self.draw()
                self.measure_soon()
            case Began():
                self._begin(report.job)
            case Said():
                self._take_said(report.job, report.event)
            case Ended():
                self._flush()
                self._end(report.talk, report.job, report.error)

    def _take_loading(self, event: StageAdvanced | Noticed | ModelLoaded) -> None:
        match event:
            case StageAdvanced():
                self._is_loading, self._trouble, self._stage = True, "", event
            case Noticed():
                self._screen.front.say(event.text)
            case ModelLoaded():
                self._is_loading = False
                if event.has_template != self._has_template:
                    self._has_template = event.has_template
                    self._screen.front.show_raw(is_raw=not event.has_template)
                if not event.has_template:
                    self._screen.front.say(
                        "a base model: it continues your text rather than answering it"
                    )
                self.draw()
                self.measure_soon()

    def _take_said(self, job: ReplyJob, event: ChatEvent) -> None:
        match event:
            case TokenGenerated():
                self._grown.add(job.turn.id)
                if self.speed is not None:
                    self.speed.take(self._read_at)
            case ReplyResumed():
                self._grown.add(job.turn.id)
            case ContextTrimmed():
                self._screen.front.say(
                    f"the context is full: the oldest {event.dropped} messages were left out"
                )
            case GenerationFinished():
                if self.speed is not None:
                    self.speed.end = event

    def _flush(self) -> None:
        for view in self._screen.transcript.views if self._grown else ():
            if view.turn.id in self._grown:
                view.grow()
        self._grown.clear()

    def _begin(self, job: ReplyJob) -> None:
        """Of replies that were asked for at once, show the one that is written now."""
        self.speed, self.seed = Speed(self._read_at), job.settings.seed
        conversation, shown = self._screen.talk.conversation, self._screen.talk.last_reply
        before, self._written = self._written, job.turn
        # Not if the person looks at an earlier one by now.
        is_next = shown is before or (shown is not None and shown.state == "writing")
        if is_next and shown is not job.turn and shown in conversation.siblings(job.turn):
            conversation.leaf = job.turn.id
            self._screen.front.redraw()
        self.draw()

    def _end(self, talk: Talk, job: ReplyJob, error: Exception | None) -> None:
        screen = self._screen
        view = screen.transcript.view_of(job.turn)
        if view is not None:
            view.end()
        screen.attempt(lambda: self._drop_unsaid(talk, job))
        if error is not None:
            self._tell_error(error)
            screen.models.offer_way_out(job, error)
        self.draw()
        self.measure_soon()
        screen.sending.send_next()

    def _drop_unsaid(self, talk: Talk, job: ReplyJob) -> None:
        if talk.drop_unsaid(job.turn):
            self._screen.front.redraw()

    def _tell_error(self, error: Exception) -> None:
        if isinstance(error, TissuError):
            self._screen.front.refuse(error)
        else:
            self._screen.front.say(f"the machine refused: {error}")

    def _tell_notices(self) -> None:
        """Tell what happened to the file of conversations."""
        notices = self._screen.talk.history.notices
        if len(notices) > self._num_told:
            self._screen.front.warn("\n".join(notices[self._num_told :]))
            self._num_told = len(notices)

    def draw(self) -> None:
        """Draw both lines."""
        self._tell_notices()
        self._last_drawn = time.monotonic()
        screen, talk = self._screen, self._screen.talk
        facts = talk.model.facts
        screen.query_one(TopLine).tell(talk.conversation.model, facts, talk.conversation.title)
        line = screen.query_one(StatusLine)
        if self._trouble:
            line.tell_trouble(self._trouble)
        elif self._is_loading:
            line.tell_loading(self._stage)
        else:
            line.tell(
                FiguresLine(
                    self.speed,
                    self.measured,
                    talk.settings,
                    self.seed,
                    is_writing=screen.is_writing,
                    waiting=max(0, screen.engine.waiting - 1),
                )
            )

    def measure_soon(self) -> None:
        """Measure the context, a moment later and behind the screen."""
        if self._measure_timer is None:
            self._measure_timer = self._screen.set_timer(_MEASURE_SECONDS, self._measure_behind)

    def _measure_behind(self) -> None:
        self._measure_timer = None
        if self._screen.talk.model.facts is not None:
            draft = self._screen.prompt.full_text
            self._screen.run_worker(
                lambda: self._measure(draft), thread=True, group="measure", exit_on_error=False
            )

    def _measure(self, draft: str) -> None:
        self.measured = self._screen.talk.measure(draft)
        self._screen.app.call_from_thread(self.draw)

    def _look_for_newer(self) -> None:
        newest = self._screen.setup.newest
        if newest is None or self._screen.is_writing or self._is_loading:
            return
        try:
            found = newest()
        except TissuError:  # the run is gone, or being written; its model stays here
            return
        if found != self._seen:
            self._seen = found
            self._screen.models.reload()
