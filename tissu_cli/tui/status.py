"""The two lines that tell what is happening: the model above, the figures below."""

from dataclasses import dataclass

from textual.content import Content
from textual.widgets import Static

from tissu_cli.render import numbers
from tissu_core.config.decoding import DecodingConfig
from tissu_core.events.replies import ContextMeasured, GenerationFinished, ModelLoaded
from tissu_core.events.shared import StageAdvanced
from tissu_core.sanitize import sanitize_line

_AMBER = 0.85
_BAR_CELLS = 6
_COUNTS = "▏▎▍▌▋▊▉█"


class TopLine(Static):
    """The model, and the conversation's title."""

    def __init__(self) -> None:
        super().__init__("tissu", id="top-line", markup=False)

    def tell(self, model: str, facts: ModelLoaded | None, title: str) -> None:
        """Draw what is known."""
        parts = [model or "the newest model"]
        if facts is not None:
            name = facts.name if facts.step is None else f"{facts.name} step {facts.step:,}"
            parts = [name, f"{numbers.count(facts.num_parameters)} parameters"]
            parts += [f"{facts.device} {facts.precision}"]
        line = Content.assemble(
            ("tissu ", "bold $primary"), (sanitize_line(" · ".join(parts)), "$text")
        )
        if title:
            line = line.append(Content.styled(f"   {sanitize_line(title)}", "dim"))
        self.update(line)


@dataclass(slots=True)
class Speed:
    """How fast a reply comes."""

    began: float
    first: float | None = None
    last: float = 0.0
    tokens: int = 0
    end: GenerationFinished | None = None
    """What the model measured itself; until then, what is seen here."""

    def take(self, now: float) -> None:
        """A token came; those that were read at once came at one time."""
        self.last = now
        self.first = self.first or self.last
        self.tokens += 1

    @property
    def first_token_seconds(self) -> float | None:
        """From the question to the first token."""
        if self.end is not None:
            return self.end.first_token_seconds
        return None if self.first is None else self.first - self.began

    @property
    def tokens_per_second(self) -> float:
        """From the first token to the last."""
        if self.end is not None:
            return self.end.tokens_per_second
        if self.first is None or self.last == self.first:
            return 0.0
        return (self.tokens - 1) / (self.last - self.first)


class StatusLine(Static):
    """Speed, context and settings while a model is ready; before that, how far it is."""

    def __init__(self) -> None:
        super().__init__("", id="status-line", markup=False)

    def tell_loading(self, event: StageAdvanced | None) -> None:
        """How far the loading is."""
        text = "loading the model"
        if event is not None:
            text = event.stage
            if event.total:
                share = event.done / event.total
                text += f" {bar(share)} {share:.0%}"
        self.update(Content.styled(f"◌ {sanitize_line(text)}", "$text-warning"))

    def tell_trouble(self, text: str) -> None:
        """What went wrong and lasts."""
        self.update(Content.styled(f"✗ {sanitize_line(text)}", "$text-error"))

    def tell(
        self,
        speed: Speed | None,
        measured: ContextMeasured | None,
        settings: DecodingConfig,
        seed: int | None,
        *,
        is_writing: bool,
        waiting: int = 0,
    ) -> None:
        """Draw the figures."""
        parts = [Content.styled("● " if is_writing else "○ ", "$text-success")]
        parts.append(Content("  ".join(_figures(speed, waiting))))
        if measured is not None:
            parts.append(Content("  ").append(_context(measured)))
        parts.append(Content.styled("  " + described(settings, seed), "dim"))
        self.update(Content("").join(parts))


def _figures(speed: Speed | None, waiting: int) -> list[str]:
    if speed is None:
        return ["ready"]
    figures = [f"{speed.tokens_per_second:.1f} tok/s"]
    if speed.first_token_seconds is not None:
        figures.append(f"first {speed.first_token_seconds:.2f} s")
    figures.append(f"{speed.tokens:,} out")
    return [*figures, f"{waiting} waiting"] if waiting else figures


def _context(measured: ContextMeasured) -> Content:
    """A bar of what the conversation takes, the reply's room counted."""
    wanted = measured.prompt_tokens + measured.reply_tokens
    share = min(1.0, measured.prompt_tokens / measured.context_tokens)
    text = f"ctx {bar(share)} {share:.0%}/{measured.context_tokens:,}"
    if measured.dropped:
        oldest = "message" if measured.dropped == 1 else f"{measured.dropped} messages"
        text += f" the oldest {oldest} will be left out"
    is_tight = wanted > _AMBER * measured.context_tokens
    return Content.styled(text, "bold $text-warning" if is_tight else "$text")


def described(settings: DecodingConfig, seed: int | None) -> str:
    """The settings that matter most, in a few words."""
    if settings.greedy or settings.temperature == 0:
        words = ["greedy"]
    else:
        words = [f"T {settings.temperature:g}"]
        words += [f"top-k {settings.top_k}"] if settings.top_k else []
        words += [f"top-p {settings.top_p:g}"] if settings.top_p < 1 else []
        words += [f"min-p {settings.min_p:g}"] if settings.min_p else []
    return " ".join([*words, f"seed {seed}"] if seed is not None else words)


def bar(share: float) -> str:
    """A bar of a few cells, in eighths of one."""
    eighths = round(min(max(share, 0.0), 1.0) * _BAR_CELLS * 8)
    full, rest = divmod(eighths, 8)
    drawn = "█" * full + (_COUNTS[rest - 1] if rest else "")
    return drawn.ljust(_BAR_CELLS, "░")
