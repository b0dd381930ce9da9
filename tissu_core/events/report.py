"""What a report on a model is made of."""

from dataclasses import dataclass
from typing import TypeAlias

from tissu_core.events.compared import ModelsCompared, WorstFound
from tissu_core.events.harness import HarnessFinished
from tissu_core.events.measures import PerplexityMeasured, SpeedMeasured
from tissu_core.events.operations import OperationsTimed
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.events.sources import LeaksFound
from tissu_core.events.suites import HardScored, SuiteScored

Finding: TypeAlias = (
    PerplexityMeasured
    | ModelsCompared
    | SuiteScored
    | HarnessFinished
    | HardScored
    | WorstFound
    | LeaksFound
    | SpeedMeasured
    | OperationsTimed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionMade:
    """One thing that was asked for: what was found, or the ``error`` that came instead."""

    title: str
    command: str
    """What measures the same by itself."""
    findings: tuple[Finding, ...] = ()
    error: str = ""
    hint: str = ""
    code: int = 0
    """The exit code that its own command would have ended with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMade:
    """All that was asked for of a model, and what it was measured with."""

    model: str
    path: str
    architecture: str
    num_parameters: int | None
    num_bytes: int
    """Of the model's files."""
    weights: tuple[tuple[str, int], ...]
    """Formats of its tensors, with their bytes."""
    context_tokens: int | None
    settings: tuple[tuple[str, str], ...]
    """Of its architecture, as its files spell them."""
    seed: int
    machine: tuple[tuple[str, str], ...]
    """What computed: the processor, versions."""
    made: str
    """When, in ISO 8601."""
    sections: tuple[SectionMade, ...]


ReportEvent: TypeAlias = ReportMade | StageAdvanced | Noticed | FileSkipped
