"""What views of tensors and of a prompt show."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting
from tissu_core.errors import ConfigError


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

    def __post_init__(self) -> None:
        for name in ("svg", "html", "png"):
            if getattr(self, name) == "":
                raise ConfigError(
                    f"--{name} names no file", field=name, hint=f"--{name} picture.{name}"
                )

    @property
    def any(self) -> bool:
        """Whether a file is asked for."""
        return bool(self.svg or self.html or self.png)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanConfig:
    """Of which tokens of a prompt a view tells, by their numbers in it."""

    first: int | None = setting(
        None, "first token shown, by its number", flag="--from", minimum=0, panel="Tokens"
    )
    last: int | None = setting(
        None, "last token shown, by its number", flag="--to", minimum=0, panel="Tokens"
    )

    def __post_init__(self) -> None:
        check(self)
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ConfigError(
                f"--from {self.first} is behind --to {self.last}",
                field="first",
                hint=f"--from {self.last} --to {self.first}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig(SpanConfig):
    """Which heads of a model are shown; all where nothing is said."""

    layer: int | None = setting(
        None, "show the heads of this layer, from 0", flag="--layer", minimum=0
    )
    head: int | None = setting(None, "show this head of it, from 0", flag="--head", minimum=0)

    def __post_init__(self) -> None:
        SpanConfig.__post_init__(self)
        if self.head is not None and self.layer is None:
            raise ConfigError(
                f"--head {self.head} is of no layer",
                field="head",
                hint=f"--layer 0 --head {self.head}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LensConfig(SpanConfig):
    """What is read of each layer's stream."""

    position: int | None = setting(
        None, "show the likeliest tokens behind this one alone", flag="--position", minimum=0
    )
    top: int | None = setting(
        None,
        "show so many of the likeliest tokens, behind --position or the last token",
        flag="--top",
        minimum=1,
        maximum=100,
    )

    def __post_init__(self) -> None:
        SpanConfig.__post_init__(self)
        if self.position is not None and (self.first is not None or self.last is not None):
            raise ConfigError(
                "--position names one token, and --from and --to several",
                field="position",
                hint=f"--position {self.position}",
            )
