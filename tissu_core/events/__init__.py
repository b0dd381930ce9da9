"""What the verbs say while they work: small frozen records that anything can render.

An event holds plain scalars and tuples, never a tensor, so it can cross a thread, a process, a
log file or a test. Each verb has its own union; renderers ``match`` over it and the type checker
refuses a forgotten case.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias, get_args

from tissu_core.events.measures import (
    CheckFinished,
    ModelQuantized,
    ModuleCounted,
    PerplexityMeasured,
    TensorSummarized,
)
from tissu_core.events.records import build_event, by_name, to_record
from tissu_core.events.replies import (
    Alternative,
    ContextMeasured,
    ContextTrimmed,
    EndReason,
    GenerationFinished,
    ModelLoaded,
    PromptShown,
    ReplyResumed,
    TokenGenerated,
)
from tissu_core.events.shared import FileSkipped, Level, Noticed, StageAdvanced
from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    Planned,
    RunFinished,
    RunResumed,
    RunStarted,
    SampleGenerated,
    StepFinished,
)

__all__ = [
    "Alternative",
    "ChatEvent",
    "CheckFinished",
    "CheckpointSaved",
    "ContextMeasured",
    "ContextTrimmed",
    "EndReason",
    "EvalFinished",
    "EvaluateEvent",
    "FileSkipped",
    "GenerateEvent",
    "GenerationFinished",
    "Level",
    "LoadEvent",
    "ModelLoaded",
    "ModelQuantized",
    "ModuleCounted",
    "Noticed",
    "PerplexityMeasured",
    "Planned",
    "PromptShown",
    "QuantizeEvent",
    "ReplyResumed",
    "RunFinished",
    "RunResumed",
    "RunStarted",
    "SampleGenerated",
    "StageAdvanced",
    "StepFinished",
    "TensorSummarized",
    "TokenGenerated",
    "TrainEvent",
    "chat_event",
    "from_record",
    "to_record",
]

TrainEvent: TypeAlias = (
    RunStarted
    | RunResumed
    | StageAdvanced
    | FileSkipped
    | Planned
    | StepFinished
    | EvalFinished
    | CheckpointSaved
    | SampleGenerated
    | Noticed
    | RunFinished
)
GenerateEvent: TypeAlias = TokenGenerated | GenerationFinished
ChatEvent: TypeAlias = ContextTrimmed | ReplyResumed | TokenGenerated | GenerationFinished
LoadEvent: TypeAlias = StageAdvanced | Noticed | ModelLoaded
EvaluateEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed | PerplexityMeasured
QuantizeEvent: TypeAlias = StageAdvanced | FileSkipped | Noticed | ModelQuantized

_OF_TRAINING = by_name(get_args(TrainEvent))
_OF_CHAT = by_name({*get_args(ChatEvent), *get_args(LoadEvent), ContextMeasured, PromptShown})


def from_record(record: Mapping[str, Any]) -> TrainEvent | None:
    """The training event of a log line; None for a kind this version does not know."""
    kind = _OF_TRAINING.get(record.get("event", ""))
    found: TrainEvent | None = build_event(kind, record) if kind is not None else None
    return found


def chat_event(
    record: Mapping[str, Any],
) -> ChatEvent | LoadEvent | ContextMeasured | PromptShown | None:
    """What a model said, from its record; None for a kind this version does not know."""
    kind = _OF_CHAT.get(record.get("event", ""))
    event = build_event(kind, record) if kind is not None else None
    if isinstance(event, TokenGenerated) and event.alternatives:
        told: Any = event.alternatives  # as JSON has them
        return replace(event, alternatives=tuple(Alternative(**each) for each in told))
    found: ChatEvent | LoadEvent | ContextMeasured | PromptShown | None = event
    return found
