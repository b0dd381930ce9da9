"""What a vocabulary is made of."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting
from tissu_core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """A tokenizer to learn."""

    type: str = setting(
        "bpe",
        "what a token is: frequent byte sequences, characters, or words; the last two fall back "
        "to bytes",
        flag="--type",
        choices=("bpe", "char", "word"),
    )
    vocab_size: int | None = setting(
        None,
        "size of the vocabulary to learn; left out, it fits the text",
        flag="--vocab-size",
        unit="tokens",
        minimum=272,
        maximum=1 << 20,
    )
    pattern: str | None = setting(
        None,
        "what no token of bpe crosses; qwen2 if left out, code for source code",
        flag="--pattern",
        choices=("qwen2", "gpt2", "code"),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.pattern and self.type != "bpe":
            raise ConfigError(
                f"--pattern is {self.pattern}, and --type {self.type} has a split of its own",
                field="pattern",
                hint="leave one of them out",
            )

    @property
    def split(self) -> str:
        """How text is cut before tokens are learned."""
        return self.pattern or "qwen2" if self.type == "bpe" else self.type
