"""The figures below a conversation, in as many words as there is room for.

At 80 columns all of them fit, in short words; below that, what matters least goes first.
"""

from collections.abc import Sequence

from textual.content import Content

from tissu_cli.render.numbers import count
from tissu_cli.tui.speed import Speed
from tissu_cli.tui.status import bar
from tissu_core.config.decoding import DecodingConfig
from tissu_core.events.replies import ContextMeasured

_AMBER = 0.85
_GAP = "  "
_SHORTENED = (
    # Shorter words for the same.
    *("sampling", "cut", "first", "context", "context", "waiting", "context"),
    # Less: a setting never before what passes.
    *("first", "sampling", "seed", "sampling", "out", "waiting", "context", "speed"),
)
"""Which part takes its next form while the line is too long."""


class FiguresLine:
    """Each part has forms, the longest first; an empty one leaves it out."""

    def __init__(
        self,
        speed: Speed | None,
        measured: ContextMeasured | None,
        settings: DecodingConfig,
        seed: int | None,
        *,
        is_writing: bool,
        waiting: int = 0,
    ) -> None:
        amber = "bold $text-warning" if measured is not None and _is_tight(measured) else "$text"
        self._mark = "● " if is_writing else "○ "
        self._parts = {
            "speed": (_speed(speed), ""),
            "first": (_first(speed), ""),
            "out": ((f"{speed.tokens:,} out", "") if speed else ("",), ""),
            "waiting": ((f"{waiting} waiting", f"+{waiting}", "") if waiting else ("",), ""),
            "context": (_context(measured), amber),
            "cut": (_cut(measured), amber),
            "sampling": (_sampling(settings), "dim"),
            "seed": (("",) if seed is None else (f"seed {seed}", ""), "dim"),
        }

    def at(self, cells: int) -> Content:
        """The line in as many cells; the shortest may take more, and 0 is any number."""
        forms = dict.fromkeys(self._parts, 0)
        taken: list[str] = []
        for name in _SHORTENED:
            if not cells or self._cells(forms) <= cells:
                break
            if forms[name] + 1 < len(self._parts[name][0]):
                forms[name] += 1
                taken.append(name)
        for name in reversed(taken):  # the last steps may have made more room than was lacking
            longer = {**forms, name: forms[name] - 1}
            forms = longer if self._cells(longer) <= cells else forms
        told = [
            Content.styled(text, self._parts[name][1])
            for name, form in forms.items()
            if (text := self._parts[name][0][form])
        ]
        return Content.styled(self._mark, "$text-success").append(Content(_GAP).join(told))

    def _cells(self, forms: dict[str, int]) -> int:
        told = [text for name, form in forms.items() if (text := self._parts[name][0][form])]
        return len(self._mark + _GAP.join(told))


def _speed(speed: Speed | None) -> Sequence[str]:
    if speed is None:
        return ("ready",)
    return f"{speed.tokens_per_second:.1f} tok/s", f"{speed.tokens_per_second:.0f}/s"


def _first(speed: Speed | None) -> Sequence[str]:
    seconds = speed.first_token_seconds if speed is not None else None
    return ("",) if seconds is None else (f"first {seconds:.2f} s", f"1st {seconds:.2f}s", "")


def _is_tight(measured: ContextMeasured) -> bool:
    """Whether the conversation with a whole reply nearly fills the context."""
    wanted = measured.prompt_tokens + measured.reply_tokens
    return wanted > _AMBER * measured.context_tokens


def _context(measured: ContextMeasured | None) -> Sequence[str]:
    """What the conversation takes of the context."""
    if measured is None:
        return ("",)
    whole = measured.context_tokens
    share = min(1.0, measured.prompt_tokens / whole)
    return (
        f"ctx {bar(share)} {share:.0%}/{whole:,}",
        f"ctx {bar(share, 3)} {share:.0%}/{count(whole)}",
        f"{bar(share, 3)} {share:.0%}/{count(whole)}",
        f"{bar(share, 3)} {share:.0%}",
        f"{share:.0%}",
    )


def _cut(measured: ContextMeasured | None) -> Sequence[str]:
    """What the next reply will not be told."""
    if measured is None or not measured.dropped:
        return ("",)
    oldest = "message" if measured.dropped == 1 else f"{measured.dropped} messages"
    return f"the oldest {oldest} will be left out", f"cuts oldest {measured.dropped}"


def _sampling(settings: DecodingConfig) -> Sequence[str]:
    """The settings that matter most."""
    if settings.greedy or settings.temperature == 0:
        return "greedy", ""
    filters = [
        ("top-k", "k", settings.top_k, settings.top_k > 0),
        ("top-p", "p", settings.top_p, settings.top_p < 1),
        ("min-p", "m", settings.min_p, settings.min_p > 0),
    ]
    warm = f"{settings.temperature:g}"
    long = [f"{name} {value:g}" for name, _, value, is_on in filters if is_on]
    short = [f"{letter}{value:g}" for _, letter, value, is_on in filters if is_on]
    return " ".join([f"T {warm}", *long]), " ".join([f"T{warm}", *short]), f"T{warm}", ""
