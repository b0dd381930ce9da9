"""How fast a reply comes, as it is seen on the screen."""

from dataclasses import dataclass

from tissu_core.events.replies import GenerationFinished


@dataclass(slots=True)
class Speed:
    """How fast a reply comes."""

    began: float
    first: float | None = None
    last: float = 0.0
    tokens: int = 0
    end: GenerationFinished | None = None
    """What the model measured itself; until then, what is seen here."""

    def take(self, now: float) -> None:
        """A token came; those that were read at once came at one time."""
        self.last = now
        self.first = self.first or self.last
        self.tokens += 1

    @property
    def first_token_seconds(self) -> float | None:
        """From the question to the first token."""
        if self.end is not None:
            return self.end.first_token_seconds
        return None if self.first is None else self.first - self.began

    @property
    def tokens_per_second(self) -> float:
        """From the first token to the last."""
        if self.end is not None:
            return self.end.tokens_per_second
        if self.first is None or self.last == self.first:
            return 0.0
        return (self.tokens - 1) / (self.last - self.first)
