"""Which vocabulary a corpus is tokenised with: one that was given, or one to learn from it."""

from dataclasses import dataclass
from pathlib import Path

from tissu_core.config.data import DataConfig
from tissu_core.data.fingerprint import TextFile
from tissu_core.errors import ConfigError, IntegrityError
from tissu_core.text.conversation import with_chat_template
from tissu_core.text.tokenizer import TOKENIZER_FILE, Tokenizer

_VOCABULARIES = (
    (64_000, 512),
    (600_000, 1024),
    (10_000_000, 2048),
    (60_000_000, 4096),
    (400_000_000, 8192),
    (5_000_000_000, 16_384),
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A size and, unless it is to be learned, the tokenizer."""

    vocab_size: int
    given: Tokenizer | None = None
    longest_chat: int = 0
    """Tokens that a conversation may have; 0 where text is read."""

    def fitted(self, files: list[TextFile], data: DataConfig) -> "Vocabulary":
        """The vocabulary for these files: of conversations, with a template to write them in.

        Raises:
            ConfigError: If conversations are to be learned by a model that has not learned to read.
            InputError: If the tokenizer has no template, and not the tokens of ChatML.
        """
        if not files[0].is_chats:
            return self
        if self.given is None or data.conversation_tokens is None:
            raise ConfigError(
                "conversations teach a model that has learned to read, and none is named",
                field="format",
                hint="tissu train CHATS --from MODEL",
            )
        return Vocabulary(self.vocab_size, with_chat_template(self.given), data.conversation_tokens)

    @property
    def key(self) -> str:
        """What of it shapes the tokens."""
        if self.given is None:
            return f"vocabulary {self.vocab_size}"
        key = f"tokenizer {self.given.sha256} around a text {self.given.document([])}"
        if self.longest_chat:
            key += f" chats {self.longest_chat} {self.given.chat_template}"
        return key


def vocabulary_of(directory: Path) -> Vocabulary:
    """The vocabulary of a directory with a tokenizer, such as a checkpoint."""
    tokenizer = Tokenizer.load(directory)
    return Vocabulary(tokenizer.vocab_size, tokenizer)


def choose_vocab_size(num_bytes: int) -> int:
    """A vocabulary for this much text: 1,024 for 100 kB, 2,048 for 10 MB, 32,768 from 5 GB on.

    Twice the vocabulary for about ten times the text: each token must be seen often enough to
    learn its row. A judgement; docs/recipes.md has the sizes that were compared at 4.6 MB.

    >>> choose_vocab_size(100_000), choose_vocab_size(20_000_000)
    (1024, 4096)
    """
    return next((size for limit, size in _VOCABULARIES if num_bytes <= limit), 32_768)


def given_vocabulary(data: DataConfig, vocab_size: int | None) -> Vocabulary | None:
    """The vocabulary of the tokenizer that ``data`` names; None if one is to be learned.

    Raises:
        ConfigError: If another size was asked for.
        InputError: If it cannot be read, or has no end-of-text token.
        IntegrityError: If it is not the one the run began with.
    """
    if not data.tokenizer:
        return None
    directory = Path(data.tokenizer).expanduser()
    vocabulary = vocabulary_of(directory)
    tokenizer = vocabulary.given
    assert tokenizer
    if data.tokenizer_sha256 not in ("", tokenizer.sha256):
        raise IntegrityError(
            f"{directory / TOKENIZER_FILE} is not what this run began with: SHA-256 is "
            f"{tokenizer.sha256[:12]}, the run says {data.tokenizer_sha256[:12]}",
            safe="every checkpoint: tissu chat works",
            hint="put the tokenizer back as it was, or start a new run",
        )
    if vocab_size not in (None, tokenizer.vocab_size):
        raise ConfigError(
            f"--vocab-size is {vocab_size:,}, and the tokenizer in {directory} has "
            f"{tokenizer.vocab_size:,} tokens",
            field="vocab_size",
            hint="leave --vocab-size or --tokenizer out",
        )
    _ = tokenizer.end_id  # a text without an end cannot be learned
    _ = tokenizer.pieces  # bits per byte need the bytes of a token
    return vocabulary
