"""The last net before the terminal: no control character of a text leaves the screen."""

import re

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class SafeSegments(LineFilter):
    """Replaces control characters in whatever is drawn; a row keeps the width it was laid out for.

    Every widget cleans what it draws, with stand-ins that say what was there; this is for the one
    that forgot.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments, the same list if nothing is wrong with them."""
        found = _CONTROLS.search
        if not any(found(text) for text, _, _ in segments):
            return segments
        return [Segment(_replaced(text), style, control) for text, style, control in segments]


def _replaced(text: str) -> str:
    if not _CONTROLS.search(text):
        return text
    return set_cell_size(_CONTROLS.sub("\ufffd", text), cell_len(text))
