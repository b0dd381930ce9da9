"""What a report on a model has."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportConfig:
    """What is measured; each adds a section."""

    data: tuple[str, ...] = setting(
        (),
        "perplexity and bits per byte on these files and folders; may be given again",
        flag="--data",
        metavar="DATA",
    )
    num_documents: int = setting(
        0, "the N documents of --data that cost most", flag="--documents", minimum=0, maximum=1000
    )
    others: tuple[str, ...] = setting(
        (),
        "this model beside it, on --data and each --suite; may be given again",
        flag="--compare",
        metavar="MODEL",
    )
    suites: tuple[str, ...] = setting(
        (), "questions of this suite; may be given again", flag="--suite", metavar="SUITE"
    )
    tasks: tuple[str, ...] = setting(
        (),
        "a task of the evaluation harness (package lm-eval); may be given again",
        flag="--tasks",
        metavar="NAME",
    )
    include: str | None = setting(
        None, "task files of your own for --tasks", flag="--include", metavar="FOLDER"
    )
    is_adversarial: bool = setting(
        False, "harder forms of questions, scored apart", flag="--adversarial"
    )
    num_worst: int = setting(
        0, "the N passages of --data that cost most", flag="--errors", minimum=0, maximum=1000
    )
    corpus: tuple[str, ...] = setting(
        (),
        "which items of --suite and --data stand in this training corpus; may be given again",
        flag="--leaks",
        metavar="CORPUS",
    )
    is_timed: bool = setting(False, "tokens per second and memory", flag="--speed")
    price_per_hour: float | None = setting(
        None,
        "of this machine: tells in --speed what a million tokens cost",
        flag="--price-per-hour",
        minimum=0,
    )
    operations: tuple[str, ...] = setting(
        (),
        "ways to compute an operation, as eval speed --ops names it; may be given again",
        flag="--ops",
        metavar="NAME",
    )
    limit: int | None = setting(
        None, "at most N items of each suite and task", flag="--limit", minimum=1
    )
    seed: int = setting(0, "of all that is drawn", flag="--seed", minimum=0)

    def __post_init__(self) -> None:
        check(self)
