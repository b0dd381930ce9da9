"""Models side by side, for people."""

from collections.abc import Sequence
from typing import TypeAlias

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_core.events.compared import (
    ModelCompared,
    ModelsCompared,
    SettingDiffers,
    SuiteCompared,
    SuiteOfModel,
)
from tissu_core.sanitize import sanitize_line

_NAME_WIDTH, _CHART_CELLS = 22, 41
_GOOD, _BAD = "green", "red"
Held: TypeAlias = ModelCompared | SuiteOfModel


def compared_view(compared: ModelsCompared) -> RenderableType:
    """Who is better, where the differences lie, what each model is, and which settings differ."""
    parts: list[RenderableType] = [_results(compared), Text(_how(compared), "dim")]
    if any(each.low is not None for each in compared.models):
        parts += [Text(), _chart(compared.models[1:])]
    parts += [Text(), _facts(compared.models)]
    if not compared.have_one_tokenizer:
        parts.append(
            Text(
                "their tokenizers differ: perplexities and losses per token do not compare, bits "
                "per byte do",
                "yellow",
            )
        )
    for suite in compared.suites:
        parts += [Text(), _suite(compared, suite), Text(_how_asked(suite), "dim")]
    if compared.settings:
        parts += [Text(), _settings(compared)]
    return Group(*parts)


def _how(compared: ModelsCompared) -> str:
    text = f"{compared.num_bytes:,} bytes in {numbers.many(compared.num_documents, 'document')}"
    if compared.models[0].low is None:
        return f"{text}: too little text to tell a difference from chance"
    units = f"{compared.num_units:,} {compared.unit}"
    if compared.unit_bytes is not None:
        units += f" of {compared.unit_bytes} bytes"
    return f"{text}; intervals by {compared.resamples:,} draws of {units}, the same for all models"


def _how_asked(suite: SuiteCompared) -> str:
    text = f"percent of {numbers.many(suite.num_items, 'item')}, the same for all models"
    if suite.chance:
        text += f"; guessing comes to {100 * suite.chance:.1f}"
    is_little = suite.models[0].low is None
    return f"{text}; too few to tell a difference from chance" if is_little else text


def _results(compared: ModelsCompared) -> Table:
    values = [f"{each.bits_per_byte:.4f}" for each in compared.models]
    held = [_held(each, "+.4f", 1, _verdict(each, is_less=True)) for each in compared.models]
    return _held_table("bits/byte", compared, values, held)


def _suite(compared: ModelsCompared, suite: SuiteCompared) -> Table:
    values = [f"{100 * each.value:.1f}" for each in suite.models]
    held = [_held(each, "+.1f", 100, _verdict(each, is_less=False)) for each in suite.models]
    return _held_table(sanitize_line(suite.suite), compared, values, held)


def _held_table(
    title: str,
    compared: ModelsCompared,
    values: Sequence[str],
    held: Sequence[tuple[str | Text, ...]],
) -> Table:
    """One model a row, the first with its value alone."""
    table = _table(title, "difference")
    table.add_column(f"{compared.confidence:.0%} interval", justify="center", no_wrap=True)
    table.add_column("", no_wrap=True)
    first, *others = compared.models
    table.add_row(_name(first), values[0], "", "", "the first")
    for each, value, cells in zip(others, values[1:], held[1:], strict=True):
        table.add_row(_name(each), value, *cells)
    return table


def _held(
    each: Held, spelled: str, times: float, verdict: tuple[str, str]
) -> tuple[str, str, Text]:
    """The difference to the first model, its interval, and what that means."""
    difference, interval = format(times * each.difference, spelled), ""
    if each.low is not None and each.high is not None:
        low, high = (format(times * bound, spelled) for bound in (each.low, each.high))
        interval = f"{low} to {high}"
    return difference, interval, Text(*verdict)


def _verdict(each: Held, *, is_less: bool) -> tuple[str, str]:
    """A word and its style; ``is_less`` tells that less is better."""
    if each.low is None:
        return "", ""
    if each.difference == each.low == each.high == 0:
        return "equal", "dim"
    if not each.is_beyond_chance:
        return "within chance", "dim"
    is_better = (each.difference < 0) == is_less
    return ("better", _GOOD) if is_better else ("worse", _BAD)


def _chart(others: Sequence[ModelCompared]) -> Table:
    """Each interval on one line of numbers, on which the first model is 0."""
    known = [each for each in others if each.low is not None and each.high is not None]
    reach = max(max(-(each.low or 0.0), each.high or 0.0) for each in known) or 1.0
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", max_width=_NAME_WIDTH, overflow="fold")
    table.add_column(_scale(reach), no_wrap=True)
    for each in known:
        table.add_row(_name(each), _interval(each, reach))
    return table


def _scale(reach: float) -> str:
    """The ends of the line and its middle."""
    left, right = f"-{reach:.3g}", f"+{reach:.3g}"
    half = _CHART_CELLS // 2
    return f"{left:<{half}}0{right:>{half}}"


def _interval(each: ModelCompared, reach: float) -> Text:
    low, middle, high = (
        _cell(value, reach) for value in (each.low or 0.0, each.difference, each.high or 0.0)
    )
    cells = [" "] * _CHART_CELLS
    cells[_CHART_CELLS // 2] = "│"
    cells[low : high + 1] = "━" * (high + 1 - low)
    cells[middle] = "╋"
    return Text("".join(cells), _verdict(each, is_less=True)[1])


def _cell(value: float, reach: float) -> int:
    share = min(1.0, max(-1.0, value / reach))
    return round((share + 1) / 2 * (_CHART_CELLS - 1))


def _facts(models: Sequence[ModelCompared]) -> Table:
    table = _table("parameters", "on disk", "perplexity", "tokens/byte", "tokens/s")
    for each in models:
        table.add_row(
            _name(each),
            numbers.count(each.num_parameters),
            numbers.size(each.num_bytes),
            f"{each.perplexity:.3f}",
            f"{each.tokens_per_byte:.4f}",
            numbers.count(each.prefill_tokens_per_second),
        )
    return table


def _settings(compared: ModelsCompared) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("setting", style="dim", no_wrap=True)
    for each in compared.models:
        table.add_column(_name(each), overflow="fold")
    for setting in compared.settings:
        table.add_row(setting.name, *_values(setting))
    return table


def _values(setting: SettingDiffers) -> list[Text]:
    return [Text(sanitize_line(value) if value else "-") for value in setting.values]


def _name(each: ModelCompared) -> Text:
    return Text(sanitize_line(each.model), overflow="fold")


def _table(*figures: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("model", max_width=_NAME_WIDTH, overflow="fold")
    for title in figures:
        table.add_column(title, justify="right", no_wrap=True)
    return table
