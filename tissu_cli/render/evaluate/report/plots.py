"""A plot for each section of a report's page that has something to hold against each other."""

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tissu_cli.render import numbers
from tissu_core.events.compared import ModelsCompared, WorstFound
from tissu_core.events.harness import HarnessFinished
from tissu_core.events.measures import PerplexityMeasured, SpeedMeasured
from tissu_core.events.operations import OperationsTimed
from tissu_core.events.report import Finding, SectionMade
from tissu_core.events.sources import BITS_PER_BYTE, LeaksFound
from tissu_core.events.suites import HardScored, KindScored, SuiteScored
from tissu_core.sanitize import sanitize_line

_WIDTH, _LABEL, _VALUE, _ROW = 720, 240, 150, 24
_AXIS = _WIDTH - _LABEL - _VALUE
_STYLE = "font: 13px sans-serif; max-width: 100%"
_BAR, _WHISKER, _MARK, _FAINT = "#6f9bd1", "#1e2228", "#be6a00", "#6e7378"
_MOST_LETTERS, _MOST_BARS = 28, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A figure from 0 on, with its interval; ``mark`` is what it would be by guessing."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    mark: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Bars on one axis."""

    title: str
    bars: tuple[Bar, ...]
    told: Callable[[float], str] = "{:.4f}".format
    """A figure for people."""


def plots(section: SectionMade) -> Iterator[str]:
    """Each finding's as SVG, of those that have two figures or an interval."""
    for found in section.findings:
        plot = _plot(found)
        if plot is not None and plot.bars and (len(plot.bars) > 1 or plot.bars[0].low is not None):
            yield to_svg(plot)


def _plot(found: Finding) -> Plot | None:
    match found:
        case PerplexityMeasured():
            bars = [Bar(label=d.begins, value=d.bits_per_byte) for d in found.documents]
            return Plot(title="bits per byte of documents", bars=tuple(bars))
        case ModelsCompared():
            bars = [
                Bar(label=each.model, value=each.difference, low=each.low, high=each.high)
                for each in found.models[1:]
            ]
            title = f"bits per byte over those of {found.models[0].model}"
            return Plot(title=title, bars=tuple(bars), told="{:+.4f}".format)
        case SuiteScored():
            chance = found.chance or None
            scores: list[tuple[str, SuiteScored | KindScored]] = [(found.suite, found)]
            scores += [(kind.kind, kind) for kind in found.kinds]
            bars = [
                Bar(label=name, value=each.value, low=each.low, high=each.high, mark=chance)
                for name, each in scores
            ]
            title = "percent, with 95 % intervals" + ("; dashed: by guessing" if chance else "")
            return Plot(title=title, bars=tuple(bars), told=_percent)
        case HardScored():
            bars = [
                Bar(label=f"{kind.kind}, {form}", value=value)
                for kind in found.kinds
                for form, value in (("plain", kind.plain), ("harder", kind.hard))
            ]
            return Plot(title="percent right", bars=tuple(bars), told=_percent)
        case WorstFound():
            bars = [Bar(label="".join(p.tokens), value=p.bits_per_byte) for p in found.passages]
            bars.append(Bar(label="the whole text", value=found.bits_per_byte))
            return Plot(title="bits per byte of passages", bars=tuple(bars))
        case LeaksFound():
            return _leaks(found)
        case SpeedMeasured():
            bars = [
                Bar(
                    label=f"{point.batch} x {point.context:,} tokens",
                    value=point.decode_tokens_per_second,
                )
                for point in found.points
            ]
            return Plot(title="tokens a second, written", bars=tuple(bars), told=_few)
        case HarnessFinished() | OperationsTimed():  # figures of several units
            return None


def _leaks(found: LeaksFound) -> Plot:
    """With and without what leaked; bits per byte are no shares, and have no place among them."""
    bars = []
    for each in found.sources:
        if each.metric != BITS_PER_BYTE:
            for kind, score in (("all", each.score), ("without leaks", each.score_clean)):
                if score is not None:
                    bars.append(Bar(label=f"{each.source}, {kind}", value=score))
    return Plot(title="percent", bars=tuple(bars), told=_percent)


def to_svg(plot: Plot) -> str:
    """Bars below each other, each with its figure; loads nothing."""
    bars = plot.bars[:_MOST_BARS]
    reached = [0.0]
    for bar in bars:
        reached += [each for each in (bar.value, bar.low, bar.high, bar.mark) if each is not None]
    least, most = min(reached), max(reached)
    scale = _AXIS / ((most - least) or 1.0)

    def across(value: float) -> float:
        return _LABEL + (value - least) * scale

    height = _ROW * (len(bars) + 1) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" style="{_STYLE}" role="img">',
        _text(_LABEL, 15, plot.title, _FAINT),
    ]
    for number, bar in enumerate(bars):
        parts += _bar(bar, across, _ROW * (number + 1), plot.told)
    zero = across(0.0)
    parts.append(_line(zero, _ROW, zero, height - 6, _FAINT))
    return "".join([*parts, "</svg>"])


def _bar(
    bar: Bar, across: Callable[[float], float], top: float, told: Callable[[float], str]
) -> Iterator[str]:
    middle, begin, end = top + _ROW / 2, *sorted((across(0.0), across(bar.value)))
    yield _text(_LABEL - 8, middle + 4, _short(bar.label), _WHISKER, anchor="end")
    yield (
        f'<rect x="{begin:.1f}" y="{top + 4}" width="{end - begin:.1f}" height="{_ROW - 8}" '
        f'fill="{_BAR}"/>'
    )
    text = told(bar.value)
    if bar.low is not None and bar.high is not None:
        yield _line(across(bar.low), middle, across(bar.high), middle, _WHISKER)
        for bound in (bar.low, bar.high):
            yield _line(across(bound), middle - 4, across(bound), middle + 4, _WHISKER)
        text += f" ({told(bar.low)} to {told(bar.high)})"
    if bar.mark is not None:
        at = across(bar.mark)
        yield _line(at, top + 1, at, top + _ROW - 1, _MARK, 'stroke-dasharray="3 2"')
    yield _text(_WIDTH - _VALUE + 8, middle + 4, text, _WHISKER)


def _short(label: str) -> str:
    label = sanitize_line(" ".join(label.split()))
    return label if len(label) <= _MOST_LETTERS else label[: _MOST_LETTERS - 1] + "…"


def _text(x: float, y: float, text: str, fill: str, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}"'
    return f"<text {place}>{html.escape(sanitize_line(text))}</text>"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, further: str = "") -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" {further}/>'


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _few(value: float) -> str:
    return numbers.count(value) if value >= 1e4 else f"{value:,.1f}"
