"""Numbers as people read them."""

import math


def count(number: float) -> str:
    """A number in three digits.

    >>> count(1_234_567), count(999), count(0.5)
    ('1.23M', '999', '0.5')
    """
    for limit, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:.3g}{suffix}"
    return f"{number:g}" if number == int(number) else f"{number:.3g}"


def many(number: int, thing: str) -> str:
    """So many things, or one.

    >>> many(1_200, "token"), many(1, "token")
    ('1,200 tokens', '1 token')
    """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def part_of(part: int | None, whole: int) -> str:
    """A count, and before it how many of it count, where not all do.

    >>> part_of(300, 4000), part_of(None, 4000)
    ('300 of 4k', '4k')
    """
    return count(whole) if part is None else f"{count(part)} of {count(whole)}"


def size(num_bytes: float) -> str:
    """Bytes in decimal units.

    >>> size(600_000_000), size(12)
    ('600 MB', '12B')
    """
    return (
        count(num_bytes) + "B"
        if num_bytes < 1e3
        else f"{count(num_bytes)[:-1]} {count(num_bytes)[-1]}B"
    )


def percent(share: float | None) -> str:
    """A share in three digits, but for what is tiny; None is a share of nothing.

    >>> percent(0.0123), percent(0.5), percent(12), percent(1e-8), percent(None)
    ('1.23%', '50%', '1,200%', '1e-06%', 'of 0')
    """
    if share is None:
        return "of 0"
    if not share:
        return "0%"
    hundredths = 100 * share
    if abs(hundredths) < 1e-4:
        return f"{hundredths:.0e}%"
    digits = min(4, max(0, 2 - math.floor(math.log10(abs(hundredths)))))
    text = f"{hundredths:,.{digits}f}"
    return (text.rstrip("0").rstrip(".") if digits else text) + "%"


def duration(seconds: float) -> str:
    """Seconds as a clock shows them.

    >>> duration(3725), duration(61.4)
    ('1:02:05', '1:01')
    """
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(seconds: float) -> str:
    """An age in its largest unit."""
    for limit, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= limit:
            return f"{seconds / limit:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"
