"""How a conversation is held: its screen, its keys, what is kept."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatConfig:
    """The terminal's side of a conversation."""

    plain: bool = setting(
        False,
        "hold the conversation line by line, without a screen",
        flag="--plain",
        panel="Conversation",
    )
    history: bool = setting(
        True,
        "keep conversations; without, nothing is written",
        flag="--history",
        panel="Conversation",
    )
    theme: str = setting(
        "", "colours of the screen; /theme lists them", flag="--theme", panel="Conversation"
    )
    preset: str = setting(
        "default",
        "keys of the screen",
        flag="--key-preset",
        choices=("default", "enter-newline", "vim"),
        panel="Conversation",
    )
    keys: tuple[str, ...] = setting(
        (), 'other keys, as in ["send=ctrl+s", "new=f5"]; /keys lists their names'
    )

    def __post_init__(self) -> None:
        check(self)
