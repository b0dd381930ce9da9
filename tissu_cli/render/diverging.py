"""Numbers as colours, and as marks where there are none."""

from tissu_cli.render.braille import BLOCKS

_WARM = ((250, 225, 200), (245, 190, 135), (230, 135, 60), (190, 80, 10))
_COOL = ((215, 230, 250), (165, 200, 240), (95, 155, 220), (25, 95, 175))


def diverging(share: float) -> str:
    """The style of a number in [-1, 1]: orange above 0, blue below; nothing where it is small.

    The two are told apart by every kind of colour vision.
    """
    level = level_of(share)
    if not level:
        return ""
    return _style((_WARM if level > 0 else _COOL)[abs(level) - 1])


def rising(share: float) -> str:
    """The style of a number in [0, 1], from none to orange."""
    return diverging(max(0.0, share))


def level_of(share: float) -> int:
    """A number in [-1, 1] in nine steps, -4 to 4."""
    return round(max(-1.0, min(1.0, share)) * 4)


def marks(share: float) -> str:
    """The same for a terminal without colour: up to four signs."""
    level = level_of(share)
    return ("+" if level > 0 else "-") * abs(level)


def bar_of(share: float) -> str:
    """A number in [0, 1] as one character of that height; 0 is a space."""
    return BLOCKS[min(7, int(share * 8))] if share > 0 else " "


def _style(colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    ink = "rgb(0,0,0)" if red + 2 * green + blue > 440 else "rgb(255,255,255)"
    return f"{ink} on rgb({red},{green},{blue})"
