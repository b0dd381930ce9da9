"""What a chat template may spend: a bound on its work, its memory and its time.

A template is foreign code in this process, so everything it does is paid from one account: a turn
of a loop, a call, a character it makes or prints. What would grow is paid before it is made. A
clock stands behind the account, for many dear steps that cost it little.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

Value = TypeVar("Value")

MAX_SOURCE = 64_000
"""Characters of a template; the longest of well-known models have about 16,000."""
BASE_UNITS = 400_000
"""Ten turns of a conversation in the longest known templates cost about 3,000."""
UNITS_PER_CHARACTER = 4
"""Printing a conversation costs one unit a character; three are left to trim and to join it."""
_SECONDS = 2.0
_CHARACTERS_PER_UNIT = 8  # of text that is made; of text that is printed, one
_HELD_PER_UNIT = 64  # of text that a list holds, and does not copy
_INTEGER_BITS = 64


class LimitError(Exception):
    """A template does more than any conversation asks for."""


class Meter:
    """The account of one rendering."""

    def __init__(self, units: int) -> None:
        self._left = units
        self._deadline = time.thread_time() + _SECONDS

    def spend(self, units: int) -> None:
        """Pay, before it is done.

        Raises:
            LimitError: If that is more than is left, or the time is over.
        """
        self._left -= units
        if self._left < 0 or time.thread_time() > self._deadline:
            raise LimitError("it does more work than a conversation needs")

    def print(self, text: str) -> str:
        """Pay for text of the prompt."""
        self.spend(1 + len(text))
        return text

    def spend_text(self, num_characters: int) -> None:
        """Pay for text that will be made."""
        self.spend(num_characters // _CHARACTERS_PER_UNIT)

    def weigh(self, value: Value, times: int = 1, *, is_spelled: bool = False) -> Value:
        """Pay for a value with all that is in it, ``times`` over.

        A list that holds the same list twice is paid as if it held two, as it would be compared
        and printed. ``is_spelled``: it will be made text, with all that is in it.

        Raises:
            LimitError: If it weighs more than is left, or is a number of more than 64 bits.
        """
        waiting: list[object] = [value]
        while waiting:
            item = waiting.pop()
            self.spend(times)
            match item:
                case str():
                    is_made = is_spelled or item is value
                    per_unit = _CHARACTERS_PER_UNIT if is_made else _HELD_PER_UNIT
                    self.spend(len(item) * times // per_unit)
                case int() if item.bit_length() > _INTEGER_BITS:
                    raise LimitError(f"it makes a number of more than {_INTEGER_BITS} bits")
                case Mapping():
                    waiting += [*item.keys(), *item.values()]
                case Collection() if not isinstance(item, range):
                    waiting += item
                case _:  # prints in a line whatever it holds
                    pass
        return value

    def weighed(self, items: Iterable[Value]) -> Iterator[Value]:
        """Items that are paid as they come, with all that is in them."""
        return map(self.weigh, items)

    def turns(self, items: Iterable[Value]) -> Iterator[Value]:
        """Items of a loop, each a step."""
        for item in items:
            self.spend(1)
            yield item
