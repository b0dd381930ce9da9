"""How long to train, in which steps, and when to look and save."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting
from tissu_core.errors import ConfigError

_LENGTHS = ("steps", "tokens", "epochs", "minutes")
"""Four ways to say how long to train, of which a run has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """The loop: its end, its batch, and what happens every so many steps."""

    steps: int | None = setting(
        None, "train this many steps", flag="--steps", unit="steps", minimum=1, panel="Length"
    )
    tokens: int | None = setting(
        None,
        "train on this many tokens (5M, 2G)",
        flag="--tokens",
        unit="tokens",
        minimum=1,
        panel="Length",
    )
    epochs: float | None = setting(
        None,
        "see the training text this many times",
        flag="--epochs",
        unit="passes",
        exclusive_minimum=0,
        panel="Length",
    )
    minutes: float | None = setting(
        None,
        "stop after this long, counted from the start of the program",
        flag="--minutes",
        unit="minutes",
        exclusive_minimum=0,
        panel="Length",
    )
    patience: int = setting(
        0,
        "stop after this many evaluations without a better one; 0 goes on",
        flag="--patience",
        unit="evaluations",
        minimum=0,
        panel="Length",
    )
    batch_tokens: int | None = setting(
        None,
        "tokens of one step, over all micro-batches",
        flag="--batch-tokens",
        unit="tokens",
        minimum=1,
        panel="Loop",
    )
    batch_ramp: str = setting(
        "",
        "let the batch grow over the first steps, as FIRST:LAST:STEPS in sequences (8:64:1000); "
        "LAST, a multiple of FIRST, is then the size of the batch",
        flag="--batch-ramp",
        metavar="F:L:N",
        panel="Loop",
    )
    micro_batch: int | None = setting(
        None, "sequences computed at once; the default fits memory", unit="sequences", minimum=1
    )
    grad_accum: int | None = setting(
        None,
        "micro-batches of one step; the default makes as few as fit memory",
        flag="--grad-accum",
        unit="micro-batches",
        minimum=1,
        panel="Loop",
    )
    eval_every: int | None = setting(
        None,
        "save and score the validation text every so many steps",
        flag="--eval-every",
        unit="steps",
        minimum=1,
        panel="Loop",
    )
    eval_tokens: int | None = setting(
        None, "at most this much validation text is scored each time", unit="tokens", minimum=1
    )
    eval_suites: tuple[str, ...] = setting(
        (),
        "ask a suite of tissu eval suite, or a .toml file, at every evaluation; may be given again",
        flag="--eval-suite",
        metavar="SUITE",
        panel="Loop",
    )
    eval_suite_items: int | None = setting(
        None,
        "at most so many items of each suite are asked, always the same",
        unit="items",
        minimum=1,
    )
    save_every: int | None = setting(
        None,
        "save a checkpoint every so many steps; each evaluation saves too",
        flag="--save-every",
        unit="steps",
        minimum=1,
        panel="Loop",
    )
    keep: int = setting(
        2,
        "newest checkpoints kept, beside the best one",
        flag="--keep",
        unit="checkpoints",
        minimum=2,
        panel="Loop",
    )
    log_every: int | None = setting(
        None,
        "report every so many steps; the default is about twice a second",
        unit="steps",
        minimum=1,
    )
    sample_prompt: str = setting(
        "", "what samples during training begin with", flag="--sample-prompt", panel="Loop"
    )
    seed: int = setting(
        1337,
        "seed of weights and batches",
        flag="--seed",
        minimum=0,
        maximum=2**31 - 1,
        panel="Loop",
    )

    def __post_init__(self) -> None:
        check(self)
        parse_batch_ramp(self.batch_ramp)
        given = [name for name in _LENGTHS if getattr(self, name)]
        if len(given) > 1:
            raise ConfigError(
                f"--{given[0]} and --{given[1]} both say how long to train",
                field=given[1],
                hint=f"keep one of them, for example --{given[0]}",
            )
        if self.grad_accum and self.micro_batch:
            raise ConfigError(
                "--grad-accum and micro_batch both say how a step is cut",
                field="grad_accum",
                hint=f"keep one of them, for example --grad-accum {self.grad_accum}",
            )


def parse_batch_ramp(text: str) -> tuple[int, int, int] | None:
    """Sequences of the first step, of those after the ramp, and how many steps it takes.

    Raises:
        ConfigError: If it is not three such numbers.

    >>> parse_batch_ramp("8:64:1000")
    (8, 64, 1000)
    """
    if not text:
        return None
    try:
        first, last, steps = map(int, text.split(":"))
        if steps > 0 and 0 < first < last and last % first == 0:
            return first, last, steps
    except ValueError:
        pass
    raise ConfigError(
        f"--batch-ramp is {text!r}",
        field="batch_ramp",
        hint="--batch-ramp 8:64:1000 (from 8 to 64 sequences, a multiple, over 1,000 steps)",
    )
