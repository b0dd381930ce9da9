"""Models side by side, for people."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_core.events.compared import ModelCompared, ModelsCompared, SettingDiffers
from tissu_core.sanitize import sanitize_line

_NAME_WIDTH, _CHART_CELLS = 22, 41
_GOOD, _BAD = "green", "red"


def compared_view(compared: ModelsCompared) -> RenderableType:
    """Who is better, where the differences lie, what each model is, and which settings differ."""
    first, *others = compared.models
    parts: list[RenderableType] = [_results(compared), Text(_how(compared), "dim")]
    if any(each.low is not None for each in others):
        parts += [Text(), _chart(others, sanitize_line(first.model))]
    parts += [Text(), _facts(compared.models)]
    if not compared.have_one_tokenizer:
        parts.append(
            Text(
                "their tokenizers differ: perplexities and losses per token do not compare, bits "
                "per byte do",
                "yellow",
            )
        )
    if compared.settings:
        parts += [Text(), _settings(compared)]
    return Group(*parts)


def _how(compared: ModelsCompared) -> str:
    text = f"{compared.num_bytes:,} bytes in {compared.num_documents:,} documents"
    if compared.models[0].low is None:
        return f"{text}: too little text to tell a difference from chance"
    units = f"{compared.num_units:,} {compared.unit}"
    if compared.unit_bytes is not None:
        units += f" of {compared.unit_bytes} bytes"
    return f"{text}; intervals by {compared.resamples:,} draws of {units}, the same for all models"


def _results(compared: ModelsCompared) -> Table:
    table = _table("bits/byte", "difference")
    table.add_column(f"{compared.confidence:.0%} interval", justify="center")
    table.add_column("")
    for number, each in enumerate(compared.models):
        if not number:
            table.add_row(_name(each), f"{each.bits_per_byte:.4f}", "", "", "the first")
            continue
        verdict, style = _verdict(each)
        table.add_row(
            _name(each),
            f"{each.bits_per_byte:.4f}",
            f"{each.difference:+.4f}",
            "" if each.low is None else f"{each.low:+.4f} to {each.high:+.4f}",
            Text(verdict, style),
        )
    return table


def _verdict(each: ModelCompared) -> tuple[str, str]:
    if each.low is None:
        return "", ""
    if each.difference == each.low == each.high == 0:
        return "equal", "dim"
    if not each.is_beyond_chance:
        return "within chance", "dim"
    return ("better", _GOOD) if each.difference < 0 else ("worse", _BAD)


def _chart(others: Sequence[ModelCompared], first: str) -> Table:
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
    return Text("".join(cells), _verdict(each)[1])


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
