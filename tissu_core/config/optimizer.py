"""How gradients become steps."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting
from tissu_core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """The optimizer, its learning rate and the schedule over the run."""

    name: str = setting(
        "muon",
        "muon (matrices by Muon, the rest by AdamW) or adamw",
        flag="--optimizer",
        choices=("muon", "adamw"),
        panel="Optimizer",
    )
    learning_rate: float | None = setting(
        None,
        "peak learning rate; the default depends on optimizer and width",
        flag="--lr",
        exclusive_minimum=0,
        maximum=10,
        panel="Optimizer",
    )
    warmup: str = setting(
        "2%",
        "climb to the peak over this many steps (200) or this share of the run (2%)",
        flag="--warmup",
        panel="Optimizer",
    )
    final_fraction: float = setting(
        0.0,
        "the cosine ends at this share of the peak learning rate",
        flag="--final-lr",
        minimum=0,
        maximum=1,
        panel="Optimizer",
    )
    weight_decay: float = setting(
        0.1,
        "pull of the matrices towards zero, decoupled from the gradient",
        flag="--weight-decay",
        minimum=0,
        maximum=10,
        panel="Optimizer",
    )
    clip_norm: float = setting(
        1.0,
        "largest global gradient norm; 0 leaves gradients as they are",
        flag="--clip-norm",
        minimum=0,
        panel="Optimizer",
    )

    def __post_init__(self) -> None:
        check(self)
        parse_warmup(self.warmup)


def parse_warmup(text: str) -> tuple[int, float]:
    """(steps, share of the run); one of them is zero.

    Raises:
        ConfigError: If the text is neither a count nor a percentage below 100.
    """
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if 0 <= share < 1:
                return 0, share
        elif int(text) >= 0:
            return int(text), 0.0
    except ValueError:
        pass
    raise ConfigError(
        f"--warmup is {text!r}", field="warmup", hint="--warmup 200 (steps) or --warmup 2%"
    )
