"""Where a mixture's tokens go, for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.diverging import bar_of, diverging
from tissu_cli.render.tables import facts_table
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_core.events.experts import ExpertsObserved, LayerRouted

_MANY = 10
"""Experts, above which a layer is a line of bars."""
_ALL = 16
"""Experts of all layers, up to which every one's tokens are drawn."""
_TOKENS = 6


def experts_view(observed: "ExpertsObserved", *, is_coloured: bool) -> RenderableType:
    """Shares of layers x experts, then the tokens and pairs of the least even layer, or of all few.

    Of one layer alone they are those of all its experts.
    """
    layers = observed.layers
    are_few = len(layers) * observed.num_experts <= _ALL
    shown = layers if are_few else [min(layers, key=lambda each: each.balance)]
    even, most = 1 / observed.num_experts, _ALL if len(layers) > 1 else None
    facts = [
        ("model", observed.model),
        ("experts", f"{observed.num_experts} in each layer, {observed.experts_per_token} a token"),
        ("read", numbers.many(observed.num_tokens, "token")),
        ("even", f"{even:.1%} of the choices for each expert"),
    ]
    parts: list[RenderableType] = [facts_table(facts), Text()]
    parts.append(_shares(observed, even, is_coloured=is_coloured))
    for each in shown:
        parts += [Text(), _tokens(each, observed.experts_per_token, most)]
        if each.pairs:
            parts.append(_pairs(each))
    if most is not None and observed.num_experts > most:
        said = f"the {most} of {observed.num_experts} experts that are asked most"
        parts.append(Text(f"{said}; all: --layer {shown[0].layer}", "dim"))
    return Group(*parts)


def _shares(observed: "ExpertsObserved", even: float, *, is_coloured: bool) -> Table:
    """How often each expert of each layer is chosen, and how evenly."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.title, table.title_justify = "share of each expert, %", "left"
    table.title_style = "dim"
    table.add_column("layer", justify="right", style="dim", no_wrap=True)
    are_many = observed.num_experts > _MANY
    if are_many:
        table.add_column(f"share of expert 0 to {observed.num_experts - 1}", overflow="fold")
    else:
        for expert in range(observed.num_experts):
            table.add_column(f"{expert}", justify="right", no_wrap=True)
    for name in ("balance", "most", "never"):
        table.add_column(name, justify="right", no_wrap=True)
    highest = max(layer.max_share for layer in observed.layers)
    for layer in observed.layers:
        shares = [expert.share for expert in layer.experts]
        cells = (
            [_line(shares, highest, even, is_coloured=is_coloured)]
            if are_many
            else [_cell(share, even, is_coloured=is_coloured) for share in shares]
        )
        never = Text(f"{len(layer.dead)}", "bold red") if layer.dead else Text("0", "dim")
        table.add_row(
            f"{layer.layer}", *cells, f"{layer.balance:.1%}", f"{layer.max_share:.1%}", never
        )
    return table


def _line(shares: Sequence[float], highest: float, even: float, *, is_coloured: bool) -> Text:
    line = Text()
    for share in shares:
        style = diverging(_above(share, even)) if is_coloured else ""
        line.append(bar_of(share / highest) if share else "·", style)
    return line


def _cell(share: float, even: float, *, is_coloured: bool) -> Text:
    style = diverging(_above(share, even)) if is_coloured else ""
    return Text(f"{100 * share:.1f}".rjust(5), style)


def _above(share: float, even: float) -> float:
    """From -1 of none over 0 of an even share to 1 of twice that and more."""
    return min(1.0, share / even - 1)


def _tokens(layer: "LayerRouted", experts_per_token: int, most: int | None) -> Table:
    """What each expert of a layer is asked by above chance, or those that are asked most."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0), expand=True)
    table.add_column(f"layer {layer.layer}, expert", justify="right", no_wrap=True)
    table.add_column("share", justify="right", no_wrap=True)
    if experts_per_token > 1:
        table.add_column("weight", justify="right", no_wrap=True)
    table.add_column("asked most by, × over chance", ratio=1)  # noqa: RUF001  meant
    experts = sorted(layer.experts, key=lambda each: -each.share)[:most]
    for expert in sorted(experts, key=lambda each: each.expert):
        liked = Text(overflow="fold")
        for token in expert.tokens[:_TOKENS]:
            liked.append(f"“{sanitize_line(token.text).replace(' ', '·')}”")
            liked.append(f"×{token.times_chance:.1f}  ", "dim")  # noqa: RUF001  meant
        weight = [f"{expert.mean_weight:.2f}"] if experts_per_token > 1 else []
        none = "never asked" if not expert.count else "no token more than others"
        table.add_row(
            f"{expert.expert}", f"{expert.share:.1%}", *weight, liked or Text(none, "dim")
        )
    return table


def _pairs(layer: "LayerRouted") -> Table:
    line = Text()
    for pair in layer.pairs:
        if pair.times_chance > 1:
            line.append(f"{pair.first}+{pair.second}")
            line.append(f"×{pair.times_chance:.1f}  ", "dim")  # noqa: RUF001  meant
    table = Table.grid(padding=(0, 2))
    table.add_row(Text("together", "dim"), line or Text("by chance alone", "dim"))
    return table
