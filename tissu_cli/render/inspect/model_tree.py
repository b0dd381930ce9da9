"""A model's modules as a tree of names, with what each holds."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tissu_cli.render import numbers
from tissu_cli.render.braille import bars
from tissu_cli.render.inspect.odd_values import shape_of
from tissu_core.events.tensors import TensorListed
from tissu_core.sanitize import sanitize_line

_WEIGHT = "weight"
_SHARE_WIDTH = 12


@dataclass(frozen=True, slots=True)
class ModuleNode:
    """A module, or a tensor; one that holds a weight alone is that tensor."""

    name: str
    path: str
    """Of the module, as files spell it; "" is the model."""
    num_parameters: int
    num_bytes: int
    bytes_by_dtype: tuple[tuple[str, int], ...]
    tensor: TensorListed | None = None
    children: "tuple[ModuleNode, ...]" = ()

    @property
    def key(self) -> str:
        """What it is found by: a tensor's whole name, or the path."""
        return self.path if self.tensor is None else self.tensor.name


def build_modules(name: str, tensors: Sequence[TensorListed]) -> ModuleNode:
    """The tree of all names, cut at their dots; children are in the order of the tensors."""
    return _module(name, "", [(tensor.name.split("."), tensor) for tensor in tensors])


def _module(name: str, path: str, tensors: Sequence[tuple[list[str], TensorListed]]) -> ModuleNode:
    groups: dict[str, list[tuple[list[str], TensorListed]]] = {}
    for parts, tensor in tensors:
        groups.setdefault(parts[0], []).append((parts[1:], tensor))
    children = []
    for part, group in groups.items():
        below = f"{path}.{part}".lstrip(".")
        rest, tensor = group[0]
        is_alone = len(group) == 1 and rest in ([], [_WEIGHT])
        children.append(_leaf(part, below, tensor) if is_alone else _module(part, below, group))
    bytes_by_dtype: Counter[str] = Counter()
    for child in children:
        bytes_by_dtype.update(dict(child.bytes_by_dtype))
    return ModuleNode(
        name=name,
        path=path,
        num_parameters=sum(child.num_parameters for child in children),
        num_bytes=sum(child.num_bytes for child in children),
        bytes_by_dtype=tuple(bytes_by_dtype.most_common()),
        children=tuple(children),
    )


def _leaf(name: str, path: str, tensor: TensorListed) -> ModuleNode:
    return ModuleNode(
        name=name,
        path=path,
        num_parameters=math.prod(tensor.shape),
        num_bytes=tensor.num_bytes,
        bytes_by_dtype=((tensor.dtype, tensor.num_bytes),),
        tensor=tensor,
    )


def node_label(node: ModuleNode) -> Text:
    """A line of the tree: a tensor's shape and type, a module's parameters."""
    label = Text(sanitize_line(node.name))
    if node.tensor is not None:
        return label.append(f"  {shape_of(node.tensor.shape)}  {node.tensor.dtype}", "dim")
    return label.append(f"  {numbers.count(node.num_parameters)}", "dim")


def module_view(node: ModuleNode) -> RenderableType:
    """What a module holds, and how it is shared among its parts."""
    title = Text(sanitize_line(node.path or node.name), style="bold")
    kinds = ", ".join(f"{numbers.size(size)} {dtype}" for dtype, size in node.bytes_by_dtype)
    count = sum(1 for _ in _tensors(node))
    facts = Text(f"{node.num_parameters:,} parameters in {count:,} tensors\n{kinds}")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("part", overflow="fold", min_width=10)
    for name in ("parameters", "size", "share"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    most = max((child.num_parameters for child in node.children), default=0)
    for child in node.children:
        share = child.num_parameters / max(1, node.num_parameters)
        cells = math.ceil(_SHARE_WIDTH * child.num_parameters / max(1, most))
        table.add_row(
            Text(sanitize_line(child.name)),
            numbers.count(child.num_parameters),
            numbers.size(child.num_bytes),
            f"{share:.1%}",
            Text(bars([1.0] * cells, _SHARE_WIDTH), "cyan"),
        )
    return Group(title, facts, Text(), table)


def _tensors(node: ModuleNode) -> Iterator[TensorListed]:
    if node.tensor is not None:
        yield node.tensor
    for child in node.children:
        yield from _tensors(child)


def plain_tree(node: ModuleNode, depth: int = 0) -> Iterator[Text]:
    """A line for each module and tensor, for where there is no screen."""
    yield Text("  " * depth).append(node_label(node))
    for child in node.children:
        yield from plain_tree(child, depth + 1)
