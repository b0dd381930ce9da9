"""Which text is read, and how it is divided."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


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
        panel="Data",
    )
    tokenizer_sha256: str = setting("", "hash of that tokenizer's file, written when a run begins")

    only: tuple[str, ...] = setting((), "read only files with these endings, such as .py")
    exclude: tuple[str, ...] = setting((), "names of folders that are not entered")

    def __post_init__(self) -> None:
        check(self)
