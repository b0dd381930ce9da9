"""Which text is read, how its bytes become text, and how it is divided."""

import codecs
import encodings
from dataclasses import dataclass, field
from pkgutil import iter_modules

from tissu_core.config.fields import check, setting
from tissu_core.errors import ConfigError, nearest

AUTO = "auto"
_NOT_OF_FILES = ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingConfig:
    """How the bytes of files become text."""

    encoding: str = setting(
        AUTO,
        "encoding of files without a byte order mark; auto is UTF-8",
        flag="--encoding",
        panel="Data",
    )
    on_bad: str = setting(
        "skip",
        "what to do with a file that has bytes of another encoding: skip it, replace them by "
        "U+FFFD, or stop",
        flag="--on-bad",
        choices=("skip", "replace", "stop"),
        panel="Data",
    )
    text_column: str = setting(
        "",
        "key of .jsonl lines and column of .parquet files that holds the text; left out: text, "
        "and in .parquet files without it content",
        flag="--text-column",
        panel="Data",
    )
    max_undecodable: float = setting(
        0.05,
        "share of the bytes that may be skipped as of another encoding; more is an error",
        minimum=0,
        maximum=1,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.encoding != AUTO and not _is_encoding(self.encoding):
            close = nearest(self.encoding.lower().replace("-", "_"), _known_encodings())
            raise ConfigError(
                f"--encoding is {self.encoding!r}, which is no text encoding Python knows",
                field="encoding",
                hint=f"did you mean {' or '.join(close)}?" if close else "--encoding utf-8",
            )


def _is_encoding(name: str) -> bool:
    try:
        "".encode(name)  # bytes-to-bytes codecs such as zip are refused here
        codecs.getincrementaldecoder(name)
        return codecs.lookup(name).name.replace("-", "_") not in _NOT_OF_FILES
    except (LookupError, ValueError):
        return False


def _known_encodings() -> list[str]:
    names = {module.name for module in iter_modules(encodings.__path__)}
    return sorted(name for name in names if _is_encoding(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """The corpus and its division into training and validation text."""

    corpus: tuple[str, ...] = setting((), "files and folders of text", panel="Data", is_path=True)
    validation_fraction: float = setting(
        0.05,
        "share of the text held out, as whole documents, to measure on",
        flag="--val-fraction",
        minimum=0.001,
        maximum=0.5,
        panel="Data",
    )

    tokenizer: str = setting(
        "",
        "tokenize with this tokenizer: a directory, a run or a stored model; one is learned if "
        "left out",
        flag="--tokenizer",
        metavar="TOKENIZER",
        panel="Data",
    )
    tokenizer_sha256: str = setting("", "hash of that tokenizer, written when a run begins")

    only: tuple[str, ...] = setting((), "read only files with these endings, such as .py")
    exclude: tuple[str, ...] = setting((), "names of folders that are not entered")
    follow_symlinks: bool = setting(
        False,
        "follow links to folders, and to files outside of the folder",
        flag="--follow-symlinks",
        panel="Data",
    )
    format: str | None = setting(
        None,
        "what is read of the files: text, chats (.jsonl with messages), or auto, which takes what "
        "there is; the default is text, and auto with --from",
        flag="--format",
        choices=("auto", "text", "chats"),
        panel="Data",
    )
    conversation_tokens: int | None = setting(
        None,
        "the longest conversation that is read; longer ones are left out; the default is --context",
        unit="tokens",
        minimum=8,
    )
    reading: ReadingConfig = field(default_factory=ReadingConfig)

    def __post_init__(self) -> None:
        check(self)
