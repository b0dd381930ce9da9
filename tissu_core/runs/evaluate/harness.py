"""The verb eval harness: the tasks of EleutherAI's lm-evaluation-harness."""

import logging
import os
import queue
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tissu_core.config.harness import HarnessConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import InputError, TissuError, missing_package, nearest
from tissu_core.events.harness import HarnessEvent, HarnessFinished, TaskScored
from tissu_core.events.shared import StageAdvanced
from tissu_core.runs.catalog import find_model

if TYPE_CHECKING:
    from tissu_core.checkpoint.model_directory import LoadedModel

_MOST_NAMED = 3
_SEEDS = ("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed")


def run_harness(
    model: str | None,
    tasks: Sequence[str],
    machine: DeviceConfig,
    config: HarnessConfig,
) -> Iterator[HarnessEvent]:
    """Have the harness measure a model on its tasks; the last event is the result.

    Tasks are read from the folder ``config.include`` where it has them all, else from the package
    too, which takes it some seconds; what data they name, the harness fetches.

    Raises:
        InputError: If the package is missing, a task is unknown, or the harness gives one up.
    """
    find_model(model)
    os.environ.setdefault("TQDM_DISABLE", "1")  # its bars would run across ours
    if find_spec("lm_eval") is None:
        raise missing_package("lm-eval", "the evaluation harness")
    from tissu_core.compress.finite import require_finite
    from tissu_core.runs.loading import load_for_use

    yield StageAdvanced(stage="reading tasks", done=0, total=1, unit="list")
    manager = _find_tasks(tasks, config.include)
    loaded, _ = load_for_use(model, machine)
    require_finite(loaded.model, "spoils all that it answers")
    yield from loaded.notices
    asked = {
        "tasks": [*tasks],
        "task_manager": manager,
        "num_fewshot": config.num_shots,
        "limit": config.limit,
        "apply_chat_template": config.is_chat,
        "log_samples": False,
        # Resampling forks a pool of processes from one that has threads, and takes a minute for
        # the few figures (perplexities, BLEU) whose error no formula gives.
        "bootstrap_iters": 0,
        **dict.fromkeys(_SEEDS, config.seed),
    }
    found = yield from _evaluate(loaded, config.batch_size, asked)
    import lm_eval

    yield HarnessFinished(
        model=str(loaded.path), harness_version=lm_eval.__version__, scores=tuple(_scores(found))
    )


def _find_tasks(tasks: Sequence[str], include: str | None) -> Any:
    """The harness's list of tasks, with those of a folder.

    Raises:
        InputError: If the folder is none, or has a broken task, or a task is unknown.
    """
    if include is not None and not Path(include).is_dir():
        raise InputError(f"there is no folder {include}", hint="--include FOLDER-OF-TASKS")
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    for has_defaults in (False, True) if include else (True,):
        manager = TaskManager(include_path=include, include_defaults=has_defaults)
        unknown = [task for task in tasks if not manager.match_tasks([task])]
        if not unknown:
            return manager
    close = nearest(unknown[0], manager.all_tasks, _MOST_NAMED)
    raise InputError(
        f"the harness has no task {unknown[0]!r}" + (f", nor has {include}" if include else ""),
        hint="--tasks " + " or ".join(close) if close else "lm_eval ls tasks",
    )


def _evaluate(
    loaded: "LoadedModel", batch_size: int, asked: Mapping[str, Any]
) -> Generator[StageAdvanced, None, Mapping[str, Any]]:
    """What the harness found. It works in a thread, so that its progress can be told.

    Raises:
        InputError: If it gives up, say for data that is not here and cannot be fetched.
    """
    import lm_eval
    from lm_eval import evaluator

    from tissu_core.evals.harness import HarnessModel

    # It asks git which commit the person's folder is at, and git complains where it is at none.
    evaluator.get_git_commit_hash = lambda: None
    told: queue.Queue[tuple[int, int] | None] = queue.Queue()
    ended: list[Any] = []

    def work() -> None:
        try:
            model = HarnessModel(loaded, batch_size, lambda *progress: told.put(progress))
            ended.append(lm_eval.simple_evaluate(model=model, **asked))
        except BaseException as error:  # noqa: BLE001  told by the thread that waits for it
            ended.append(error)
        finally:
            told.put(None)

    threading.Thread(target=work, daemon=True).start()
    while (progress := told.get()) is not None:
        yield StageAdvanced(stage="answering", done=progress[0], total=progress[1], unit="items")
    found = ended[0]
    if isinstance(found, BaseException):
        if isinstance(found, TissuError):
            raise found
        raise InputError(
            f"the harness gave up: {type(found).__name__}: {found}",
            hint="--include FOLDER-OF-TASKS whose data is here; or lm_eval's page of this task",
        ) from found
    return cast(Mapping[str, Any], found)


def _scores(found: Mapping[str, Any]) -> Iterator[TaskScored]:
    """Every figure of the harness's table."""
    for task, figures in found["results"].items():
        items = found["n-samples"].get(task, {}).get("effective", figures.get("sample_len", 0))
        for name, value in figures.items():
            metric, comma, filter_ = name.partition(",")
            if not comma or metric.endswith("_stderr"):
                continue
            error = figures.get(f"{metric}_stderr,{filter_}")
            yield TaskScored(
                task=task,
                metric=metric,
                filter=filter_,
                value=float(value),
                standard_error=float(error) if isinstance(error, int | float) else None,
                num_items=int(items),
                num_shots=found["n-shot"].get(task),
                is_higher_better=found["higher_is_better"].get(task, {}).get(metric),
            )
