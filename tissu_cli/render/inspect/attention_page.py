"""What heads of attention read, as a page in which heads and tokens are chosen."""

import base64
import json
import sys
from array import array
from dataclasses import asdict
from importlib.resources import files

from tissu_cli.render.heat import SCALE
from tissu_cli.render.inspect.attention import KINDS
from tissu_cli.render.tokens import visible
from tissu_core.events.views import AttentionSeen, HeadScored, HeadShown
from tissu_core.sanitize import sanitize_line

_DIGITS = 4
"""Of a score."""


def attention_page(seen: AttentionSeen) -> str:
    """A page that loads nothing, with every head of ``seen.shown``; shares in thousandths."""
    shown = {(each.layer, each.head): each for each in seen.shown}
    best = max(
        (head for head in seen.heads if (head.layer, head.head) in shown),
        key=lambda head: (head.induction or 0.0, head.previous),
    )
    table = {
        "model": sanitize_line(seen.model),
        "tokens": [visible(token) for token in seen.tokens],
        "first": seen.first,
        "last": seen.last,
        "heads": [_scores(head) for head in seen.heads],
        "shares": {f"{layer}.{head}": _packed(each) for (layer, head), each in shown.items()},
        "chosen": [best.layer, best.head],
        "kinds": {kind: [mark, reads] for kind, (mark, _, reads) in KINDS.items()},
        "scale": SCALE,
    }
    template = files("tissu_cli.render.inspect").joinpath("attention.html").read_text("utf-8")
    # Nothing in the data can end the element that holds it.
    return template.replace("__DATA__", json.dumps(table).replace("<", "\\u003c"))


def _scores(head: HeadScored) -> dict[str, object]:
    return {
        name: round(value, _DIGITS) if isinstance(value, float) else value
        for name, value in asdict(head).items()
    }


def _packed(shown: HeadShown) -> str:
    """Rows of thousandths: of what is earlier, then of each token; 16 bits, little end first."""
    thousandths = [
        round(1000 * share)
        for earlier, row in zip(shown.earlier, shown.shares, strict=True)
        for share in (earlier, *row)
    ]
    packed = array("H", thousandths)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode()
