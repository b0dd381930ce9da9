"""Two models held against each other tensor by tensor, and what a series of checkpoints tells."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tissu_core.events.tensors import LayerMoved, PartCompared, TensorCompared
from tissu_core.interpret.tensors.comparison import compare_tensors, cosine_of
from tissu_core.interpret.tensors.names import WHOLE, in_order, kind_of, layer_of
from tissu_core.interpret.tensors.reading import TensorReader

_STILL = 1e-6
"""A relative change that may be rounding."""
_BEGUN = 0.05
"""Of a layer's largest change, what counts as its beginning."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """The tensors of two models by what can be done with them, in the model's order."""

    both: tuple[str, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    other_shapes: tuple[tuple[str, Shape, Shape], ...]


def pair(before: TensorReader, after: TensorReader) -> Paired:
    """Tensors by name; no values are read."""
    older, newer = set(before.names), set(after.names)
    shared = in_order(older & newer)
    shapes = {name: (before.shape(name), after.shape(name)) for name in shared}
    return Paired(
        both=tuple(name for name in shared if shapes[name][0] == shapes[name][1]),
        only_before=tuple(in_order(older - newer)),
        only_after=tuple(in_order(newer - older)),
        other_shapes=tuple((n, *shapes[n]) for n in shared if shapes[n][0] != shapes[n][1]),
    )


def iter_compared(
    before: TensorReader, after: TensorReader, names: Sequence[str]
) -> Iterator[TensorCompared]:
    """Each tensor of both, which have it in one shape; two are in memory at a time."""
    for name in names:
        yield compare_tensors(name, before.read(name), after.read(name))


def compare_parts(tensors: Sequence[TensorCompared]) -> tuple[PartCompared, ...]:
    """By layers and kinds; every layer and then the model as a whole beside them."""
    groups: dict[tuple[str, str], list[TensorCompared]] = {}
    for tensor in tensors:
        layer = layer_of(tensor.name)
        if layer != kind_of(tensor.name):
            groups.setdefault((layer, kind_of(tensor.name)), []).append(tensor)
    for tensor in tensors:
        groups.setdefault((layer_of(tensor.name), WHOLE), []).append(tensor)
    if tensors:
        groups[WHOLE, WHOLE] = list(tensors)
    return tuple(_part(layer, kind, group) for (layer, kind), group in groups.items())


def _part(layer: str, kind: str, tensors: Sequence[TensorCompared]) -> PartCompared:
    product = sum(each.cosine * each.norm * each.new_norm for each in tensors)
    older, newer = (sum(norm**2 for norm in norms) for norms in _norms(tensors))
    changed = max(0.0, sum(_changed(each) for each in tensors))
    return PartCompared(
        layer=layer,
        kind=kind,
        change=math.sqrt(changed / older) if older else (None if changed else 0.0),
        cosine=cosine_of(product, older, newer),
    )


def _norms(tensors: Sequence[TensorCompared]) -> tuple[list[float], list[float]]:
    return [each.norm for each in tensors], [each.new_norm for each in tensors]


def _changed(tensor: TensorCompared) -> float:
    """The square of the difference; of what was zero it is what it became."""
    return tensor.new_norm**2 if tensor.change is None else (tensor.change * tensor.norm) ** 2


def layers_moved(
    steps: Sequence[int], series: Sequence[Sequence[TensorCompared]]
) -> tuple[LayerMoved, ...]:
    """When each layer began to move. ``series`` has the second step's comparison with the first,
    the third's with the first, and so on."""  # noqa: D205, D209
    by_layer: dict[str, list[float]] = {}
    for tensors in series:
        for layer, change in _changes(tensors).items():
            by_layer.setdefault(layer, [0.0]).append(change)
    return tuple(
        LayerMoved(
            layer=layer,
            steps=tuple(steps),
            changes=tuple(changes),
            moved_between=_beginning(steps, changes),
        )
        for layer, changes in by_layer.items()
    )


def _changes(tensors: Sequence[TensorCompared]) -> Mapping[str, float]:
    parts = compare_parts(tensors)
    return {part.layer: part.change or 0.0 for part in parts if part.kind == WHOLE}


def _beginning(steps: Sequence[int], changes: Sequence[float]) -> tuple[int, int] | None:
    limit = max(_STILL, _BEGUN * max(changes))
    for number, change in enumerate(changes):
        if change > limit:
            return steps[number - 1], steps[number]
    return None
