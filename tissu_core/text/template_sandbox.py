"""Jinja for templates of strangers: no way out, and an end to everything.

Jinja's immutable sandbox keeps a template away from Python. It bounds neither time nor memory, so
here only what chat templates use is left of its filters and methods, and all that is left is paid
from a ``Meter``. The dialect is that of transformers: ``raise_exception``, ``strftime_now``,
``tojson`` that leaves letters alone, ``break`` and ``continue``, ``{% generation %}``.
"""

import functools
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from jinja2 import TemplateSyntaxError, nodes, pass_context, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.filters import FILTERS, do_indent, do_join
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined, markup_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from tissu_core.errors import InputError
from tissu_core.text.template_meter import MAX_SOURCE, LimitError, Meter

_MAX_INDENT = 16
_STRFTIME_GROWTH = 256  # Python gives up where a format grows more

_FILTERS = (
    "abs count d default dictsort first float int items last length map max min reject rejectattr "
    "reverse select selectattr sort unique"
)
_TEXT_FILTERS = "capitalize e escape forceescape lower safe string title trim upper"
_STRING_METHODS = (
    "capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit islower "
    "isnumeric isspace istitle isupper join lower lstrip partition removeprefix removesuffix "
    "replace rfind rindex rpartition rsplit rstrip split splitlines startswith strip swapcase "
    "title upper"
)
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(_STRING_METHODS.split()),
    Mapping: frozenset(("get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
    int: frozenset(),
    float: frozenset(),
}


class Sandbox(ImmutableSandboxedEnvironment):
    """One template, compiled once and rendered often."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self, source: str) -> None:
        if len(source) > MAX_SOURCE:
            raise LimitError(f"it has {len(source):,} characters; {MAX_SOURCE:,} are read")
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # nothing is computed before it is paid
            extensions=[LoopControlExtension, _Generation],
        )
        self._rendering = threading.Lock()
        self.meter = Meter(0)
        self.generation_mark = ""
        self.finalize = self._print
        self.filters = {
            **{name: self._weighed(FILTERS[name]) for name in _FILTERS.split()},
            **{name: self._weighed_text(FILTERS[name]) for name in _TEXT_FILTERS.split()},
            "concatenated": lambda values: self.meter.weigh(markup_join(map(self._text, values))),
            "indent": self._indent,
            "join": self._join,
            "list": self._list,
            "replace": self._replace,
            "tojson": self._tojson,
            "turns": lambda items: self.meter.turns(items),
            "weighed": lambda value: self.meter.weigh(value),
        }
        self.globals = {
            "range": self.globals["range"],
            "dict": lambda *args, **more: dict(*args, **more),
            "namespace": _Namespace,
            "raise_exception": _refuse,
            "strftime_now": self._strftime_now,
        }
        self._tree = _Metering().visit(self.parse(source))
        self._template = self.from_string(self._tree)

    @functools.cached_property
    def constants(self) -> frozenset[str]:
        """Texts that the template compares with or puts together."""
        texts = (node.value for node in self._tree.find_all(nodes.Const))
        return frozenset(text for text in texts if isinstance(text, str))

    def render(self, variables: Mapping[str, Any], units: int, generation_mark: str = "") -> str:
        """The text for these variables.

        ``generation_mark`` stands before and after each ``{% generation %}`` block.

        Raises:
            LimitError: If it does more than ``units`` pay for.
            InputError: If the template refuses the conversation.
            Exception: Whatever the template provokes.
        """
        with self._rendering:
            self.meter, self.generation_mark = Meter(units), generation_mark
            return self._template.render(variables)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Of plain values only the named methods."""
        for kind, names in _METHODS.items():
            if isinstance(obj, kind):
                return attr in names
        return super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """What is unsafe is refused, rather than printed as nothing."""
        raise SecurityError(f"{attribute!r} of {type(obj).__name__!r} is not for chat templates")

    def wrap_str_format(self, value: Any) -> None:
        """A format can ask for any width, so ``str.format`` is a method like others, and unsafe."""

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Every call is paid, and what it gives."""
        __self.meter.spend(1)
        owner, name = getattr(__obj, "__self__", None), getattr(__obj, "__name__", "")
        if isinstance(owner, str) and name == "replace":
            return __self._replace(owner, *args)
        if isinstance(owner, str) and name == "join":
            return __self._join(__context.eval_ctx, args[0], owner)
        return __self.meter.weigh(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Every sum and product is paid; powers and formats have no bound and are refused."""
        if operator == "**" or (operator == "%" and isinstance(left, str)):
            raise SecurityError(f"the operator {operator} is not for chat templates")
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(times, int):
                    self.meter.weigh(many, max(times, 1))
        return self.meter.weigh(super().call_binop(context, operator, left, right))

    @pass_context  # so that it is never called while compiling
    def _print(self, _context: Context, value: Any) -> str:
        return self.meter.print(self._text(value))

    def _text(self, value: Any) -> str:
        """A value as text, paid before it is spelled."""
        if isinstance(value, str):
            return value
        return str(self.meter.weigh(value, is_spelled=True))

    def _weighed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if isinstance(result, Iterator):
                return self.meter.weighed(result)
            return self.meter.weigh(result)

        return call

    def _weighed_text(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self._weighed(
            lambda value, *args, **more: function(self._text(value), *args, **more)
        )

    def _replace(self, given: Any, old: str, new: str, count: int | None = None) -> str:
        text = self._text(given)
        self.meter.spend_text(text.count(old) * len(new))
        return self.meter.weigh(text.replace(old, new, -1 if count is None else count))

    @pass_eval_context
    def _join(
        self,
        context: nodes.EvalContext,
        given: Iterable[Any],
        between: str = "",
        attribute: str | None = None,
    ) -> str:
        items = self.meter.weigh(self._list(given), is_spelled=True)
        self.meter.spend_text(len(items) * len(between))
        return str(self.meter.weigh(do_join(context, items, between, attribute)))

    def _list(self, items: Iterable[Any]) -> list[Any]:
        return list(self.meter.weighed(items))

    def _indent(self, given: Any, width: int | str = 4, *flags: bool, **more: bool) -> str:
        text = self._text(given)
        growth = width if isinstance(width, int) else len(width)
        self.meter.spend_text((text.count("\n") + 1) * max(growth, 0))
        return str(self.meter.weigh(do_indent(text, width, *flags, **more)))

    def _tojson(
        self,
        value: Any,
        ensure_ascii: object = None,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: object = None,
    ) -> str:
        """JSON with all letters as they are: an escaped one would be another token."""
        if max(indent or 0, *map(len, separators or ("", ""))) > _MAX_INDENT:
            raise LimitError("it spreads JSON too wide")
        encoder = json.JSONEncoder(
            ensure_ascii=False, indent=indent, separators=separators, sort_keys=bool(sort_keys)
        )
        self.meter.weigh(value, is_spelled=True)
        return "".join(self.meter.weighed(encoder.iterencode(value)))

    def _strftime_now(self, form: str) -> str:
        self.meter.spend_text(_STRFTIME_GROWTH * len(form))
        return datetime.now().strftime(form)


class _Metering(NodeTransformer):
    """Makes a template pay for what the compiler would do without asking the environment."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        if node.recursive:
            raise TemplateSyntaxError("recursive loops are not for chat templates", node.lineno)
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "turns")
        return node

    def visit_Output(self, node: nodes.Output) -> nodes.Node:
        self.generic_visit(node)
        # As constants, the texts between the tags go through `finalize` as all that is printed.
        node.nodes = [
            nodes.Const(each.data) if isinstance(each, nodes.TemplateData) else each
            for each in node.nodes
        ]
        return node

    def _weighed(self, node: nodes.Expr) -> nodes.Expr:
        self.generic_visit(node)
        return node if getattr(node, "ctx", "load") == "store" else _filtered(node, "weighed")

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "concatenated")

    visit_List = visit_Tuple = visit_Dict = _weighed

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(node, "weighed") if isinstance(node.arg, nodes.Slice) else node


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class _Generation(Extension):
    """``{% generation %}`` around what the assistant writes."""

    tags = {"generation"}  # noqa: RUF012  Jinja's declaration

    def parse(self, parser: Parser) -> list[nodes.Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        mark = nodes.Output([nodes.EnvironmentAttribute("generation_mark")], lineno=line)
        return [mark, nodes.Scope(body, lineno=line), mark]


class _Namespace(Namespace):
    """Jinja's, except that it prints as nothing of what it holds, which nobody weighed."""

    def __repr__(self) -> str:
        return "<namespace>"


def _refuse(message: str) -> None:
    raise InputError(
        f"the model's chat template refuses this conversation: {message}",
        hint="/new begins another one",
    )
