"""How the evaluation harness asks a model."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessConfig:
    """Of the tasks, which, and how each item is put."""

    include: str | None = setting(
        None, "task files of your own, in the harness's format", flag="--include", metavar="FOLDER"
    )
    num_shots: int | None = setting(
        None,
        "solved examples before each item; the default is the task's",
        flag="--shots",
        minimum=0,
    )
    limit: int | None = setting(
        None, "only the first N items of each task", flag="--limit", minimum=1
    )
    batch_size: int = setting(8, "items read at once", flag="--batch-size", minimum=1)
    is_chat: bool = setting(False, "put each item into the model's chat template", flag="--chat")
    seed: int = setting(0, "which solved examples are shown", flag="--seed", minimum=0)

    def __post_init__(self) -> None:
        check(self)
