"""Which questions are put to models, and how."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting

_PANEL = "Suites"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitesConfig:
    """Suites beside another measure."""

    names: tuple[str, ...] = setting(
        (),
        "put these questions to each model as well: a name of `tissu eval suite`, or a .toml file; "
        "may be given again",
        flag="--suite",
        metavar="SUITE",
        panel=_PANEL,
    )
    limit: int | None = setting(
        None, "at most N items of each suite, by --seed", flag="--limit", minimum=1, panel=_PANEL
    )
    is_chat: bool | None = setting(
        None,
        "items through each model's chat template; the default is where it writes and has one",
        flag="--chat",
        panel=_PANEL,
    )
    is_code_allowed: bool = setting(
        False,
        "run generated code even where nothing keeps it from harm",
        flag="--allow-code",
        panel=_PANEL,
    )

    def __post_init__(self) -> None:
        check(self)
