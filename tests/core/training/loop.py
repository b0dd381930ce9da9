"""Stand-ins for what the loop calls."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import Tensor

from tissu_core.checkpoint.training_state import TrainState
from tissu_core.events.training import CheckpointSaved, RunResumed, SampleGenerated
from tissu_core.models.score import Score
from tissu_core.training.objectives.next_token import LossOutput, next_token
from tissu_core.training.trainer import LoopParts, LoopSettings


def make_settings(**changes: object) -> LoopSettings:
    """Settings of a short run on the CPU that evaluates only at its end."""
    settings: dict[str, object] = {
        "steps": 10,
        "seconds": 0.0,
        "micro_batch": 4,
        "clip_value": 0.0,
        "clip_norm": 1.0,
        "log_every": 1000,
        "eval_every": 1000,
        "save_every": 1000,
        "patience": 0,
        "seed": 1,
        "precision": "fp32",
    }
    return LoopSettings(**(settings | changes))  # type: ignore[arg-type]


def make_parts(
    batch: Callable[[int], Tensor],
    *,
    schedule: Callable[[int, float], float] = lambda step, progress: 1.0,
    objective: Callable[..., LossOutput] = next_token,
    scores: Iterator[float] | None = None,
    saved: list[TrainState] | None = None,
    best: list[int] | None = None,
    restore: Callable[[TrainState], RunResumed | None] = lambda state: None,
    clock: Callable[[], float] = lambda: 0.0,
) -> LoopParts:
    """Parts that write down what is asked of them and store nothing."""

    def save(state: TrainState) -> CheckpointSaved:
        if saved is not None:
            saved.append(replace(state))
        return CheckpointSaved(step=state.step, path="", num_bytes=0, seconds=0.0)

    def evaluate() -> Iterator[Score]:
        nll = next(scores) if scores is not None else 1.0
        yield Score(nll=nll, num_tokens=1, num_bytes=1)

    return LoopParts(
        objective=objective,
        batch=batch,
        sources=lambda number: [f"text-{number}.txt"],
        schedule=schedule,
        evaluate=evaluate,
        save=save,
        restore=restore,
        mark_best=(best if best is not None else []).append,
        sample=lambda step: SampleGenerated(step=step, prompt="", text=""),
        clock=clock,
    )
