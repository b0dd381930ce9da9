"""How the next token is chosen, and when to stop."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting
from tissu_core.config.load import parse_number
from tissu_core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingConfig:
    """One reply's settings; ``decoding/logits.py`` has the order in which they apply."""

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
    presence_penalty: float = setting(
        0.0,
        "lowers the logit of tokens the reply already holds; 0 is off",
        flag="--presence-penalty",
        minimum=-10,
        maximum=10,
        panel="Sampling",
    )
    frequency_penalty: float = setting(
        0.0,
        "lowers a token's logit for each time the reply holds it; 0 is off",
        flag="--frequency-penalty",
        minimum=-10,
        maximum=10,
        panel="Sampling",
    )
    no_repeat_ngram: int = setting(
        0,
        "never write the same N tokens in a row twice, the prompt counted; 0 is off",
        flag="--no-repeat-ngram",
        minimum=0,
        panel="Sampling",
    )
    logit_bias: tuple[str, ...] = setting(
        (),
        "TEXT=+2 or ID=-2: add to the logit of a token, or of a text's last one after the others; "
        "may be given again",
        flag="--logit-bias",
        panel="Sampling",
    )
    ban_words: tuple[str, ...] = setting(
        (),
        "never write this text, alone or after a space, as the tokenizer spells it; may be given "
        "again",
        flag="--ban-words",
        panel="Sampling",
    )
    min_tokens: int = setting(
        0,
        "no end token before the reply has this length",
        flag="--min-tokens",
        unit="tokens",
        minimum=0,
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
    context_tokens: int = setting(
        0,
        "read and write at most this many tokens at once; 0 is all that the model reads",
        flag="--context",
        unit="tokens",
        minimum=0,
        panel="Sampling",
    )
    top_logprobs: int = setting(
        0, "how many likely tokens are told beside each that is written", minimum=0, maximum=100
    )

    def __post_init__(self) -> None:
        check(self)
        for entry in self.logit_bias:
            parse_bias(entry)
        if not all(self.ban_words):
            raise ConfigError(
                "--ban-words is empty", field="ban_words", hint="name the words to leave out"
            )
        if self.min_tokens > self.max_tokens:
            raise ConfigError(
                f"--min-tokens is {self.min_tokens} and --max-tokens is {self.max_tokens}",
                field="min_tokens",
                hint=f"--min-tokens {self.max_tokens} or less",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptsConfig:
    """How a file of prompts is worked through."""

    batch_size: int = setting(
        8,
        "prompts of a file that are continued at once",
        flag="--batch-size",
        minimum=1,
        panel="Many prompts",
    )

    def __post_init__(self) -> None:
        check(self)


def parse_bias(entry: str) -> tuple[str | int, float]:
    """``TEXT=+2`` as the text and its bias; a whole number before the ``=`` is a token's id.

    The last ``=`` parts them, so a text may hold one.

    Raises:
        ConfigError: If it is not of that form.
    """
    what, _, number = entry.rpartition("=")
    bias = parse_number(number)
    if not what or bias is None:
        raise ConfigError(
            f"--logit-bias is {entry!r}", field="logit_bias", hint='--logit-bias " word=-2"'
        )
    return (int(what) if what.isdecimal() else what), float(bias)
