"""Shares from 0 to 1 as characters and colours: each alone says how much it is."""

from collections.abc import Sequence
from itertools import pairwise

_SHADES = ((0.6, "█"), (0.3, "▓"), (0.12, "▒"), (0.03, "░"))
"""From which share on a character is drawn. Shares of many crowd at the low end, so the steps
there are short."""
LEGEND = "  ".join(f"{char} {bound:.0%}" for bound, char in reversed(_SHADES))
"""From which share on each is drawn, for the foot of a view."""
SCALE = (
    (0.0, (110, 140, 190)),
    (0.3, (80, 175, 165)),
    (0.6, (235, 190, 80)),
    (1.0, (230, 95, 55)),
)
"""Red, green and blue along the way: colours between light and dark, for either ground."""


def shade(share: float, nothing: str = " ") -> str:
    """The character of a share; ``nothing`` of one that is hardly any."""
    return next((char for bound, char in _SHADES if share >= bound), nothing)


def heat(share: float) -> str:
    """The colour of a share, as #rrggbb."""
    share = min(max(share, 0.0), 1.0)
    for (low, cold), (high, hot) in pairwise(SCALE):
        if share <= high:
            part = (share - low) / (high - low)
            mixed = (round(a + (b - a) * part) for a, b in zip(cold, hot, strict=True))
            return "#" + "".join(f"{channel:02x}" for channel in mixed)
    raise AssertionError("the scale ends at 1")


def ground(share: float) -> str:
    """The style of text on the colour of a share; none of one that is hardly any."""
    return f"black on {heat(share)}" if share >= _SHADES[-1][0] else ""


def shrink(rows: Sequence[Sequence[float]], size: int) -> list[list[float]]:
    """A lower triangle in no more than ``size`` rows and columns: the largest of each block.

    ``rows`` has one entry more in each row; so has what is returned, of the last rows' blocks.
    """
    block = -(-len(rows) // size)
    cells = -(-len(rows) // block)
    found = [[0.0] * (row + 1) for row in range(cells)]
    for row, shares in enumerate(rows):
        for column, share in enumerate(shares):
            cell = found[row // block]
            cell[column // block] = max(cell[column // block], share)
    return found
