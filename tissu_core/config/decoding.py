"""How the next token is chosen, and when to stop."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingConfig:
    """One reply's settings, applied as penalty, temperature, top-k, top-p, min-p."""

    max_tokens: int = setting(
        256, "longest reply", flag="--max-tokens", unit="tokens", minimum=1, panel="Sampling"
    )
    temperature: float = setting(
        0.8,
        "flattens (above 1) or sharpens (below 1) the choice; 0 is greedy",
        flag="--temperature",
        minimum=0,
        maximum=100,
        panel="Sampling",
    )
    top_k: int = setting(
        50,
        "choose among the k likeliest tokens; 0 for all",
        flag="--top-k",
        minimum=0,
        panel="Sampling",
    )
    top_p: float = setting(
        1.0,
        "choose among the likeliest tokens that make up this probability",
        flag="--top-p",
        exclusive_minimum=0,
        maximum=1,
        panel="Sampling",
    )
    min_p: float = setting(
        0.0,
        "drop tokens less likely than this share of the likeliest",
        flag="--min-p",
        minimum=0,
        maximum=1,
        panel="Sampling",
    )
    repetition_penalty: float = setting(
        1.0,
        "makes tokens already seen less likely; 1 is off",
        flag="--repetition-penalty",
        exclusive_minimum=0,
        maximum=10,
        panel="Sampling",
    )
    greedy: bool = setting(False, "always the likeliest token", flag="--greedy", panel="Sampling")
    seed: int | None = setting(
        None,
        "the same seed gives the same text; the default differs each time",
        flag="--seed",
        minimum=0,
        maximum=2**63 - 1,
        panel="Sampling",
    )
    stop: tuple[str, ...] = setting(
        (), "end before this text; may be given again", flag="--stop", panel="Sampling"
    )

    def __post_init__(self) -> None:
        check(self)
