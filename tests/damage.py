"""Files that were whole, harmed by chance and by numbers at the edges of what parsers believe."""

import resource
import struct
from collections.abc import Callable, Sequence
from random import Random

EDGES = [0, 1, 2, 31, 255, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 32, 1 << 40, (1 << 63) - 1]
EDGES += [(1 << 64) - number for number in (1, 2, 32)]


def damaged(whole: bytes, near: int, random: Random) -> bytes:
    """``whole`` with up to three harms, mostly among its first ``near`` bytes."""
    content = bytearray(whole)
    for _ in range(random.choice((1, 1, 2, 3))):
        reach = min(near, len(content)) if random.random() < 0.8 else len(content)
        at = random.randrange(reach + 1)
        random.choice(HARMS)(content, at, random)
    return bytes(content or b"G")


def _flip(content: bytearray, at: int, random: Random) -> None:
    content[at : at + 1] = bytes([random.randrange(256)])


def _write(content: bytearray, at: int, random: Random) -> None:
    number = struct.pack("<Q", random.choice(EDGES))[: random.choice((4, 8))]
    content[at : at + len(number)] = number


def _spell(content: bytearray, at: int, random: Random) -> None:
    """A number where one is spelled in digits."""
    while at < len(content) and not 48 <= content[at] < 58:
        at += 1
    end = at
    while end < len(content) and 48 <= content[end] < 58:
        end += 1
    content[at:end] = str(random.choice((-1, 1)) * random.choice(EDGES)).encode()


def _repeat(content: bytearray, at: int, random: Random) -> None:
    content[at:at] = content[at : at + random.randint(1, 80)]


def _remove(content: bytearray, at: int, random: Random) -> None:
    del content[at : at + random.randint(1, 40)]


def _cut(content: bytearray, at: int, random: Random) -> None:
    if random.random() < 0.3:
        del content[at:]


HARMS: Sequence[Callable[[bytearray, int, Random], None]] = (
    *(_flip, _write, _spell, _repeat, _remove, _cut),
)


def peak_megabytes() -> int:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
