"""How gradients become steps."""

from dataclasses import dataclass
from itertools import pairwise

from tissu_core.config.fields import check, setting
from tissu_core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """The optimizer, its learning rate and the schedule over the run."""

    name: str | None = setting(
        None,
        "muon (matrices by Muon, the rest by AdamW), adamw, rmsprop, adam, or sgd with Nesterov "
        "momentum 0.9; the default is muon, and adamw with --from",
        flag="--optimizer",
        choices=("muon", "adamw", "rmsprop", "adam", "sgd"),
        panel="Optimizer",
    )
    learning_rate: float | None = setting(
        None,
        "peak learning rate; the default depends on optimizer and width; with --from it is a tenth",
        flag="--lr",
        exclusive_minimum=0,
        maximum=10,
        panel="Optimizer",
    )
    schedule: str = setting(
        "cosine",
        "the learning rate after the warm-up: wsd stays at the peak and falls at the end, step "
        "falls at milestones",
        flag="--schedule",
        choices=("cosine", "wsd", "linear", "step", "constant"),
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
        "cosine, linear and wsd end at this share of the peak learning rate",
        flag="--final-lr",
        minimum=0,
        maximum=1,
        panel="Optimizer",
    )
    decay_fraction: float = setting(
        0.2,
        "share of the run, after the warm-up, in which wsd falls",
        flag="--decay-fraction",
        exclusive_minimum=0,
        maximum=1,
        panel="Optimizer",
    )
    milestones: str = setting(
        "50%,75%",
        "shares of the run, after the warm-up, at which step falls",
        flag="--milestones",
        panel="Optimizer",
    )
    gamma: float = setting(
        0.1,
        "factor of the learning rate at each milestone",
        flag="--gamma",
        exclusive_minimum=0,
        maximum=1,
        panel="Optimizer",
    )
    weight_decay: float | None = setting(
        None,
        "pull of the matrices towards zero; the default is 0.1 for muon and adamw, which decouple "
        "it from the gradient, and 0 for the others, which add it to the gradient",
        flag="--weight-decay",
        minimum=0,
        maximum=10,
        panel="Optimizer",
    )
    clip_value: float = setting(
        0.0,
        "largest size of a gradient's element, before --clip-norm; 0 leaves them as they are",
        flag="--clip-value",
        minimum=0,
        panel="Optimizer",
    )
    clip_norm: float = setting(
        1.0,
        "largest global gradient norm; 0 leaves gradients as they are",
        flag="--clip-norm",
        minimum=0,
        panel="Optimizer",
    )
    ema_decay: float = setting(
        0.0,
        "measure, sample and keep a moving average of the weights, of which each step leaves this "
        "share (0.999 averages about 1,000 steps); 0 keeps the weights themselves",
        flag="--ema",
        minimum=0,
        maximum=0.999999,
        panel="Optimizer",
    )

    def __post_init__(self) -> None:
        check(self)
        parse_warmup(self.warmup)
        parse_milestones(self.milestones)


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


def parse_milestones(text: str) -> tuple[float, ...]:
    """Rising shares of the run, in (0, 1).

    Raises:
        ConfigError: If the text is not percentages between 0 and 100 that rise.

    >>> parse_milestones("50%, 75%")
    (0.5, 0.75)
    """
    try:
        if all(part.strip().endswith("%") for part in text.split(",")):
            shares = [float(part.strip()[:-1]) / 100 for part in text.split(",")]
            if all(a < b for a, b in pairwise([0.0, *shares, 1.0])):
                return tuple(shares)
    except ValueError:
        pass
    raise ConfigError(
        f"--milestones is {text!r}",
        field="milestones",
        hint="--milestones 50%,75% (each later than the one before)",
    )
