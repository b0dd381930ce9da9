"""What is asked of a turn with a key or a click, and done."""

from typing import TYPE_CHECKING

from tissu_cli.sessions.conversation import Turn
from tissu_cli.sessions.turn_actions import rate, show_sibling
from tissu_cli.tui.turn_messages import Wish
from tissu_core.errors import InputError

if TYPE_CHECKING:
    from tissu_cli.tui.chat_layout import ChatLayout
    from tissu_cli.tui.lens import LensPanel

_OF_REPLIES: tuple[Wish, ...] = ("code", "continue", "good", "bad", "lens")


class Wishes:
    """Does with a turn what the person wants."""

    def __init__(self, screen: "ChatLayout") -> None:
        self._screen = screen

    def do(self, turn: Turn, wish: Wish) -> None:
        """Do it.

        Raises:
            TissuError: If it cannot be done with this turn.
        """
        front, talk = self._screen.front, self._screen.talk
        if turn.role != "assistant" and wish in _OF_REPLIES:
            raise InputError("that is for a reply", hint="choose a reply with the arrow keys")
        match wish:
            case "copy":
                front.copy(turn.text)
            case "code":
                front.copy_code(turn)
            case "retry":
                front.stop()
                talk.conversation.leaf = turn.id
                front.start(talk.answer())
            case "edit":
                front.compose(turn)
            case "continue" if turn.can_continue:
                talk.conversation.leaf = turn.id
                front.start(talk.go_on(turn))
            case "continue":
                raise InputError("this reply ended by itself", hint="r asks for another one")
            case "older" | "newer":
                show_sibling(front, turn, -1 if wish == "older" else 1)
            case "good" | "bad":
                rate(front, turn, 1 if wish == "good" else -1)
            case "lens":
                front.show_tokens(turn)

    def take_token(self, taken: "LensPanel.Taken") -> None:
        """Let a reply go on from another token.

        Raises:
            TissuError: If it cannot.
        """
        front, talk = self._screen.front, self._screen.talk
        front.close_lens()
        front.stop()
        front.start(talk.answer_from(taken.turn, taken.index, taken.choice))
