"""The parts of the picture, each as rows of a width."""

import math
import re
import time
from collections.abc import Sequence
from difflib import SequenceMatcher

from textual.content import Content

from tissu_cli.render import numbers
from tissu_cli.render.braille import bars
from tissu_cli.tui.watch.bodies import Bodies
from tissu_cli.tui.watch.chart import Chart, Line, Mark, around, axis
from tissu_cli.tui.watch.history import RunHistory, score
from tissu_core.events.training import SampleGenerated
from tissu_core.sanitize import sanitize, sanitize_line

COLOURS = ("$primary", "$warning", "$success", "$error", "$secondary", "$accent")
STATES = {
    "running": "$text-success",
    "paused": "$text-warning",
    "broken off": "$text-error",
    "gone": "$text-error",
}
_LETTERS = {"pause": "p", "resume": "r", "sample": "s", "save": "k", "evaluate": "e"}
_LONGEST_SAMPLE = 2000
_BAR = "█"
_MUCH_WAITING = 0.02


def fitted(line: Content, width: int) -> Content:
    """A row of exactly ``width`` cells."""
    return line.truncate(width, ellipsis=True, pad=True)


def title(name: str, text: str = "", style: str = "bold $primary") -> Content:
    """The row above a pane."""
    return Content.assemble((name, style), ("  " if text else "") + text)


def head(run: RunHistory, now: float) -> Content:
    """The run, what it does, and how old its last save is."""
    parts: list[tuple[str, str]] = [
        (sanitize_line(run.name), "bold"),
        (f"  {run.state}", STATES.get(run.state, "$text-primary")),
    ]
    if run.saved is not None:
        when, event = run.saved
        parts.append((f"  saved {numbers.ago(now - when)} at step {event.step:,}", ""))
    if run.planned is not None:
        plan = run.planned
        text = f"  {plan.model}, {numbers.count(plan.num_parameters)} parameters, {plan.device}"
        parts.append((sanitize_line(text), "dim"))
    return Content.assemble(*parts)


def legend(runs: Sequence[RunHistory], chosen: int) -> list[Content]:
    """A row for each of several runs."""
    rows = []
    for number, run in enumerate(runs):
        step = f"{run.last.step:,}" if run.last else "-"
        best = run.best
        text = f"  {run.state}  step {step}  loss {_figure(run.smooth.last)}"
        text += f"  best {best.bits_per_byte:.4f}" if best else ""
        pointer = "›" if number == chosen else " "  # noqa: RUF001  meant
        name = (f"{number + 1} ■ {sanitize_line(run.name)}", COLOURS[number % len(COLOURS)])
        rows.append(Content.assemble(pointer, name, text))
    return rows


def loss(
    runs: Sequence[RunHistory], chosen: int, width: int, height: int, bodies: Bodies
) -> list[Content]:
    """The losses of all runs over one another; of the chosen one the raw ones too."""
    run = runs[chosen]
    if not any(other.loss.xs for other in runs):
        return [title("loss", "no report yet")]
    text = f"{_figure(run.loss.last)}, smooth {_figure(run.smooth.last)}"
    if run.scores:
        text += f"  ◆ {score(run.scores[-1].bits_per_byte)}"
    if run.best:
        text += f", best {run.best.bits_per_byte:.4f} at {run.best.step:,}"
    body = bodies.rows("loss", lambda: _loss_chart(runs, chosen, width, height))
    return [title("loss", text), *body]


def _loss_chart(runs: Sequence[RunHistory], chosen: int, width: int, height: int) -> list[Content]:
    run = runs[chosen]
    lines = [
        Line(xs=other.smooth.xs, ys=other.smooth.ys, style=COLOURS[number % len(COLOURS)])
        for number, other in enumerate(runs)
    ]
    lines.append(lines.pop(chosen))
    raw = Line(xs=run.loss.xs, ys=run.loss.ys, style="dim", is_joined=False)
    scores = [old for old in run.scores if math.isfinite(old.loss)]
    # The first losses would flatten all that follows; they are drawn at the edge.
    seen = [value for other in runs for value in other.smooth.numbers(since=0.05)]
    seen += run.loss.numbers(since=0.05) + [old.loss for old in scores[-50:]]
    ends = [x for other in runs for x in (*other.loss.xs[:1], *other.loss.xs[-1:])]
    x_range = around(ends)
    marks = [Mark(x=old.step, y=old.loss, text="◆", style="$text-warning") for old in scores]
    chart = Chart(lines=[raw, *lines], x_range=x_range, y_range=around(seen), marks=marks)
    asked = [
        Mark(x=old.step, y=0.0, text=_LETTERS.get(old.request, "q"), style="$text-accent")
        for old in run.marks
    ]
    if height > 4:
        return [*chart.rows(width, height - 2), axis(x_range, width, asked)]
    return chart.rows(width, max(1, height - 1))


def rate(run: RunHistory, width: int, height: int, bodies: Bodies) -> list[Content]:
    """The learning rate over the whole run, and where it is now."""
    where = f" ● you are here, {run.last.progress:.0%}" if run.last else ""
    text = f"{run.rate.last:.2e}{where}" if run.last else ""
    return [title("learning rate", text), *bodies.rows("rate", lambda: _rates(run, width, height))]


def _rates(run: RunHistory, width: int, height: int) -> list[Content]:
    planned = run.settings.rates
    ahead = Line(xs=[x for x, _ in planned], ys=[y for _, y in planned], style="dim")
    behind = Line(xs=run.rate.xs, ys=run.rate.ys, style="$secondary")
    here = [
        Mark(x=x, y=y, text="●", style="bold $text-accent")
        for x, y in zip(behind.xs[-1:], behind.ys[-1:], strict=True)
    ]
    chart = Chart(
        lines=[ahead, behind],
        x_range=(0.0, 1.0),
        y_range=around([*ahead.ys, *behind.ys], is_from_zero=True),
        marks=here,
    )
    return chart.rows(width, max(1, height - 1))


def norm(run: RunHistory, width: int, height: int, bodies: Bodies) -> list[Content]:
    """The gradient's norm, and the line above which it is clipped."""
    share, *body = bodies.rows("norm", lambda: _norms(run, width, height))
    return [title("gradient norm", _figure(run.norm.last) + share.plain), *body]


def _norms(run: RunHistory, width: int, height: int) -> list[Content]:
    """In the first row, how often it was clipped."""
    clip, xs, known = run.settings.clip_norm, run.norm.xs, run.norm.numbers()
    share = sum(value > clip for value in known) / len(known) if known and clip else 0.0
    x_range = around([*xs[:1], *xs[-1:]])
    lines = [Line(xs=xs, ys=run.norm.ys, style="$success", is_joined=False)]
    if clip:
        lines.append(Line(xs=x_range, ys=(clip, clip), style="$error"))
    seen = run.norm.numbers(since=0.05)
    chart = Chart(lines=lines, x_range=x_range, y_range=around(seen, is_from_zero=True))
    clipped = Content(f"  clipped at {clip:g}: {share:.0%}" if clip else "")
    return [clipped, *chart.rows(width, max(1, height - 1))]


def speed(run: RunHistory, width: int, height: int, bodies: Bodies) -> list[Content]:
    """Tokens per second, and the memory and GPU they take."""
    body = bodies.rows("speed", lambda: _speeds(run, width, height))
    return [title("tokens/s", _machine(run)), *body]


def _speeds(run: RunHistory, width: int, height: int) -> list[Content]:
    xs = run.speed.xs
    chart = Chart(
        lines=[Line(xs=xs, ys=run.speed.ys, style="$primary")],
        x_range=around([*xs[:1], *xs[-1:]]),
        y_range=around(run.speed.numbers(since=0.02), is_from_zero=True),
    )
    return chart.rows(width, max(1, height - 1))


def _machine(run: RunHistory) -> str:
    if run.last is None:
        return ""
    text = f"{numbers.count(run.last.tokens_per_second)}"
    text += f"  MFU {run.last.mfu:.0%}" if run.last.mfu is not None else ""
    waited = run.last.data_wait or 0.0
    text += f"  {waited:.0%} waiting for data" if waited >= _MUCH_WAITING else ""
    text += f"  memory {numbers.size(run.last.memory_bytes)}" if run.last.memory_bytes else ""
    share = run.last.device_utilization
    return text if share is None else f"{text}  GPU {share:.0%} busy"


def figures(run: RunHistory, width: int) -> list[Content]:
    """The same as a few words and bars, for a screen without room for charts."""
    if run.last is None:
        return []
    cells = max(4, min(24, width - 50))
    rate_now = f"rate {run.rate.last:.2e} "
    norm_now = f"  gradient norm {_figure(run.norm.last)} "
    return [
        Content.assemble(
            (rate_now, ""),
            (bars(run.rate.numbers(), cells), "$secondary"),
            norm_now,
            (bars(run.norm.numbers(since=0.05), cells), "$success"),
        ),
        Content.assemble(
            ("tokens/s ", ""), _machine(run), " ", (bars(run.speed.numbers(), cells), "$primary")
        ),
    ]


def sample(run: RunHistory, width: int, height: int, bodies: Bodies) -> list[Content]:
    """The newest text of the model; words that the one before did not have are marked."""
    if not run.samples:
        return [title("sample", "not yet")]
    new, before = run.samples[-1], run.samples[0]
    since = f", marked: new since {before.step:,}" if new is not before else ""
    body = bodies.rows("sample", lambda: _sample(before, new, width)[: max(1, height - 1)])
    return [title("sample", f"at step {new.step:,}{since}"), *body]


def _sample(before: SampleGenerated, new: SampleGenerated, width: int) -> list[Content]:
    prompt = Content.styled(_drawn(new.prompt), "bold")
    return prompt.append(_changed(before.text, new.text)).wrap(width)


def _changed(before: str, text: str) -> Content:
    old, new = (re.findall(r"\s*\S+|\s+$", part[:_LONGEST_SAMPLE]) for part in (before, text))
    parts: list[tuple[str, str]] = []
    for kind, _, _, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        style = "" if kind == "equal" else "$text-success underline"
        parts.append((_drawn("".join(new[begin:end])), style))
    return Content.assemble(*parts)


def _drawn(text: str) -> str:
    """A text in one line, its line ends as marks."""
    return sanitize(text[:_LONGEST_SAMPLE]).replace("\n", "⏎").replace("\t", " ")


def words(run: RunHistory, width: int, height: int, bodies: Bodies) -> list[Content]:
    """The newest of what happened, the last at the bottom."""
    newest = run.words[-1] if run.words else None
    size = width, height
    return bodies.kept(("words", *size), (run, newest), lambda: _words(run, *size))


def _words(run: RunHistory, width: int, height: int) -> list[Content]:
    rows: list[Content] = []
    for word in reversed(run.words):
        clock = time.strftime("%H:%M:%S", time.localtime(max(0.0, word.when)))
        style = "$text-warning" if word.is_warning else ""
        line = Content.assemble((f"{clock} ", "dim"), (sanitize_line(word.text), style))
        rows[:0] = line.wrap(width)[:3]
        if len(rows) >= height - 1:
            break
    return [title("log"), *rows[-max(1, height - 1) :]]


def foot(run: RunHistory, width: int) -> Content:
    """How far the run is, and how long it will take."""
    if run.unread[0] < run.unread[1]:
        done, size = map(numbers.size, run.unread)
        return Content.styled(f"reading the log: {done} of {size}", "$text-accent")
    if run.stage is not None or run.last is None:
        return Content.styled(_stage(run), "$text-accent")
    share, step = run.last.progress, run.last.step
    of = f" of {run.planned.steps:,}" if run.planned and not run.planned.is_timed else ""
    text = f" {share:.0%} · step {step:,}{of} · {numbers.duration(run.last.elapsed_seconds)}"
    left = run.seconds_left()
    if left is not None:
        low, high = (numbers.duration(seconds) for seconds in left)
        text += f" · {low} left" if low == high else f" · {low} to {high} left"
    cells = max(4, width - len(text))
    full = min(cells, max(0, round(share * cells)))
    return Content.assemble((_BAR * full, "$primary"), ("─" * (cells - full), "dim"), (text, ""))


def _stage(run: RunHistory) -> str:
    stage = run.stage
    if stage is None:
        return "getting ready" if run.presence == "trains" else "no step was reported"
    of = f" of {stage.total:,}" if stage.total else ""
    return sanitize_line(f"{stage.stage}: {stage.done:,}{of} {stage.unit}")


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"
