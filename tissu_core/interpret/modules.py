"""The tree of a model's modules; layers that are alike stand as one."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

from torch import nn

from tissu_core.events.measures import ModuleCounted


def count_modules(module: nn.Module) -> list[ModuleCounted]:
    """The module and all below it, in order, with the parameters each holds.

    Paths begin at ``module``, whose own is "". A weight that two share belongs to the first, and
    what does nothing is left out.
    """
    return _count(module, set())


def _count(module: nn.Module, seen: set[int]) -> list[ModuleCounted]:
    own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
    seen |= {id(parameter) for parameter in own}
    children = [
        (name, _count(child, seen))
        for name, child in module.named_children()
        if not isinstance(child, nn.Identity)
    ]
    held = sum(p.numel() for p in own) + sum(rows[0].num_parameters for _, rows in children)
    found = [ModuleCounted(path="", kind=type(module).__name__, count=1, num_parameters=held)]
    is_list = isinstance(module, nn.ModuleList)
    for name, rows, times in _merge(children) if is_list else ((*c, 1) for c in children):
        found += [
            replace(
                row,
                path=f"{name}.{row.path}".rstrip("."),
                count=row.count * times,
                num_parameters=row.num_parameters * times,
            )
            for row in rows
        ]
    return found


def _merge(
    children: list[tuple[str, list[ModuleCounted]]],
) -> Iterable[tuple[str, list[ModuleCounted], int]]:
    """Neighbours that are alike in all but their number, under the range of their numbers."""
    for rows, group in groupby(children, key=lambda child: child[1]):
        names = [name for name, _ in group]
        name = names[0] if len(names) == 1 else f"[{names[0]}-{names[-1]}]"
        yield name, rows, len(names)
