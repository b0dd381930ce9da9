"""What is timed of a model."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedConfig:
    """How many texts at once, how long, and what the machine costs."""

    batches: tuple[int, ...] = setting(
        (1, 8),
        "texts at once; may be given again; by default 1 and 8",
        flag="--batch",
        metavar="N",
        minimum=1,
        maximum=1024,
    )
    contexts: tuple[int, ...] = setting(
        (),
        "tokens before these; may be given again; by default 64, 512 and 2000",
        flag="--context",
        metavar="N",
        minimum=1,
    )
    new_tokens: int = setting(32, "tokens to write", flag="--tokens", minimum=2, maximum=4096)
    price_per_hour: float | None = setting(
        None,
        "of this machine, in any currency: tells what a million tokens cost",
        flag="--price-per-hour",
        minimum=0,
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsConfig:
    """Ways to compute single operations."""

    names: tuple[str, ...] = setting(
        (),
        "time ways to compute one operation instead: gelu, silu, norm, rope, attention, matmul, "
        "head, softmax, or all; may be given again",
        flag="--ops",
        metavar="NAME",
    )
    lut_size: int = setting(
        4096, "points of the tables in --ops", flag="--lut-size", minimum=16, maximum=1 << 20
    )

    def __post_init__(self) -> None:
        check(self)
