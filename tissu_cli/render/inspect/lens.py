"""The logit lens in the terminal: what a model would say after each layer."""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render.heat import LEGEND, ground, heat, shade
from tissu_cli.render.tokens import token_cells, visible
from tissu_core.events.views import LensRead, LensSeen

_LAYER = 6
_NARROWEST, _WIDEST = 9, 16
"""Cells of a token and its shade, and a gap behind them."""


def most_positions(width: int) -> int:
    """How many tokens of a prompt fit beside each other."""
    return max(1, (width - _LAYER) // _NARROWEST)


def lens_view(seen: LensSeen, width: int) -> RenderableType:
    """A line for each layer: the likeliest token at each position, or the likeliest few at one."""
    return _one_position(seen, width) if seen.first == seen.last else _grid(seen, width)


def _grid(seen: LensSeen, width: int) -> RenderableType:
    """The last positions that fit; a picture may be narrower than what was asked for."""
    skipped = max(0, len(seen.answers) - most_positions(width))
    first = seen.first + skipped
    cells = min(_WIDEST, (width - _LAYER) // (seen.last + 1 - first))
    drawn = Text(no_wrap=True)
    for name, words in (
        ("token", [str(n) for n in range(first, seen.last + 1)]),
        ("", seen.tokens[first : seen.last + 1]),
    ):
        drawn.append(f"{name:<{_LAYER}}", style="dim")
        drawn.append("".join(token_cells(w, cells - 1) + " " for w in words) + "\n", style="bold")
    for layer in seen.layers:
        drawn.append(f"{layer.name:>{_LAYER - 1}} ", style="dim")
        for read in layer.reads[skipped:]:
            drawn.append_text(_cell(read, cells - 1))
            drawn.append(" ")
        drawn.append("\n")
    for name, field in (("first", "first_layer"), ("stays", "stays_layer")):
        drawn.append(f"{name:<{_LAYER}}", style="dim")
        found = (getattr(answer, field) for answer in seen.answers[skipped:])
        drawn.append("".join(layer.ljust(cells) for layer in found) + "\n")
    drawn.right_crop(1)
    marks = "= the model's own answer   first, stays: the layer from which it is on top"
    return Group(drawn, Text(), *_foot(seen, marks))


def _cell(read: LensRead, cells: int) -> Text:
    """The likeliest token and how likely it is; underlined where it is the model's answer."""
    share, is_answer = read.probabilities[0], read.answer_rank == 1
    style = ground(share) + (" underline" if is_answer else "")
    drawn = Text().append(token_cells(read.tokens[0], cells - 2), style=style.strip())
    drawn.append("=" if is_answer else " ", style=ground(share))
    return drawn.append(shade(share), style=heat(share))


def _one_position(seen: LensSeen, width: int) -> RenderableType:
    """The likeliest tokens of each layer, as many as fit, and how near it is to the answer."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("layer", justify="right", width=_LAYER - 1)
    table.add_column("answer", justify="right", width=7)
    table.add_column("rank", justify="right", width=7)
    table.add_column("KL bits", justify="right", width=7)
    used = _LAYER + 3 * 8
    found = len(seen.layers[0].reads[0].tokens)
    count = max(1, min(found, (width - used) // _WIDEST))
    for number in range(count):
        table.add_column("likeliest" if not number else "", width=_WIDEST - 1, no_wrap=True)
    for layer in seen.layers:
        read = layer.reads[0]
        pairs = zip(read.tokens[:count], read.probabilities, strict=False)
        table.add_row(
            Text(layer.name, "dim"),
            Text(_share(read.answer_probability), style=heat(read.answer_probability)),
            f"{read.answer_rank:,}",
            f"{read.kl:.2f}",
            *(_likely(token, share) for token, share in pairs),
        )
    before = Text().append("behind ", style="dim").append(f"{seen.first} ")
    before.append(visible(seen.tokens[seen.first]), style="bold")
    marks = "KL: from the model's own distribution to the layer's"
    marks += f"   {count} of {found} tokens fit" if count < found else ""
    return Group(before, table, Text(), *_foot(seen, marks))


def _likely(token: str, share: float) -> Text:
    percent = f"{share:.0%}"
    cells = min(cell_len(visible(token)), _WIDEST - 7)
    drawn = Text().append(token_cells(token, cells), style=ground(share))
    return drawn.append(f" {percent}", style=heat(share))


def _share(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 or not share else f"{share:.0e}"


def _foot(seen: LensSeen, marks: str) -> Iterator[Text]:
    answer = seen.answers[-1]
    said = Text("after token ").append(str(seen.last), style="bold").append(" the model says ")
    said.append(visible(answer.token), style="bold underline")
    said.append(f" ({answer.probability:.1%}): first on top after layer ")
    said.append(answer.first_layer, style="bold")
    said.append(", to stay from layer ").append(answer.stays_layer, style="bold")
    yield said
    yield Text(f"{LEGEND} likely", "dim")
    yield Text(marks, "dim")
