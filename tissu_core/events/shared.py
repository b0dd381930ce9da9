"""What several verbs say."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["info", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageAdvanced:
    """Preparation or evaluation moved on. ``total`` is 0 while it is unknown."""

    stage: str
    done: int
    total: int
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSkipped:
    """A file was not read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed:
    """Something a person should know."""

    level: Level
    text: str
