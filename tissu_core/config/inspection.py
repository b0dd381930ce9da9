"""How tensors are summed up for a person."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramConfig:
    """The size of a tensor's histogram."""

    bins: int | None = setting(
        None,
        "bins of a histogram; the default fits the terminal, and is 48 with --json",
        flag="--bins",
        minimum=1,
        maximum=4096,
    )
    rows: int = setting(4, "lines a histogram is high", flag="--rows", minimum=1, maximum=64)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturesConfig:
    """Files that show what the terminal shows."""

    svg: str | None = setting(
        None, "draw it into a file as well", flag="--svg", metavar="FILE", panel="Pictures"
    )
    html: str | None = setting(
        None, "write it as a page as well", flag="--html", metavar="FILE", panel="Pictures"
    )
    png: str | None = setting(
        None,
        "draw it into a file as well; needs the package resvg-py",
        flag="--png",
        metavar="FILE",
        panel="Pictures",
    )
