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
    suites: tuple[str, ...] = setting(
        (), "questions of this suite; may be given again", flag="--suite", metavar="SUITE"
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
    limit: int | None = setting(None, "at most N items of each suite", flag="--limit", minimum=1)
    seed: int = setting(0, "of all that is drawn", flag="--seed", minimum=0)

    def __post_init__(self) -> None:
        check(self)
