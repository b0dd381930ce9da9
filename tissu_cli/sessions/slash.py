"""The commands that are typed into a conversation, wherever it is held.

Each is written once, for whatever front it is typed at: the screen or plain lines.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from tissu_core.errors import InputError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class SlashCommand:
    """A command as ``/help`` shows it."""

    name: str
    help: str
    arguments: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """What is typed for it."""
        return f"/{self.name} {self.arguments}".rstrip()


COMMANDS = (
    SlashCommand(name="help", help="what can be typed here", aliases=("?",)),
    SlashCommand(name="new", help="begin another conversation", aliases=("clear",)),
    SlashCommand(name="sessions", arguments="[WORDS]", help="earlier conversations, or search all"),
    SlashCommand(name="resume", arguments="[ID|TITLE]", help="go on with an earlier conversation"),
    SlashCommand(name="rename", arguments="TITLE", help="give this conversation a title"),
    SlashCommand(name="delete", arguments="[ID|TITLE]", help="delete a conversation, or this one"),
    SlashCommand(name="model", arguments="[MODEL]", help="talk to another model from here on"),
    SlashCommand(
        name="system", arguments="[TEXT|-]", help="what the model is told first; - is nothing"
    ),
    SlashCommand(
        name="set",
        arguments="[NAME=VALUE]",
        help="a decoding setting; without a value, its default",
    ),
    SlashCommand(
        name="seed",
        arguments="[N]",
        help="the seed of the next reply; without N, another each time",
    ),
    SlashCommand(
        name="retry",
        arguments="[N]",
        help="another reply in place of the last, or N of them",
        aliases=("regenerate",),
    ),
    SlashCommand(name="continue", help="go on with a reply that was stopped or cut"),
    SlashCommand(
        name="edit",
        arguments="[N] [TEXT]",
        help="another text in place of your last message, or of message N",
    ),
    SlashCommand(name="undo", help="take back your last message and its reply"),
    SlashCommand(name="fork", help="go on in a copy of this conversation"),
    SlashCommand(
        name="previous",
        arguments="[N]",
        help="the older version of the last turn, or of turn N",
        aliases=("prev",),
    ),
    SlashCommand(
        name="next", arguments="[N]", help="the newer version of the last turn, or of turn N"
    ),
    SlashCommand(
        name="compare", arguments="MODEL", help="the same prompt and seed answered by another model"
    ),
    SlashCommand(name="good", help="the last reply is a good one: + for preferences"),
    SlashCommand(name="bad", help="the last reply is a bad one: - for preferences"),
    SlashCommand(
        name="copy", arguments="[code|all]", help="copy the last reply, its last code block, or all"
    ),
    SlashCommand(
        name="export",
        arguments="md|json|jsonl|svg|prefs [FILE]",
        help="write this conversation, or all preferences, to a file",
    ),
    SlashCommand(name="prompt", help="exactly what the model reads, with its ids"),
    SlashCommand(
        name="tokens",
        help="the last reply token by token, with probabilities",
        aliases=("logprobs",),
    ),
    SlashCommand(name="stats", help="figures of the last reply and of the context"),
    SlashCommand(name="raw", help="replies as they were written, or as Markdown"),
    SlashCommand(name="theme", arguments="[NAME]", help="colours of the screen"),
    SlashCommand(name="keys", help="every key and what it does"),
    SlashCommand(name="log", help="what the model's process wrote on its error output"),
    SlashCommand(name="quit", help="leave", aliases=("exit", "q")),
)
_BY_NAME = {name: each for each in COMMANDS for name in (each.name, *each.aliases)}


def is_command(line: str) -> bool:
    """Whether a message is a command: one line that begins with a slash and a word.

    >>> is_command("/help"), is_command("/usr/bin is full"), is_command("/ 2")
    (True, False, False)
    """
    word = line.strip().split(maxsplit=1)[:1]
    is_word = bool(word) and word[0].startswith("/") and word[0][1:].replace("?", "a").isalpha()
    return is_word and "\n" not in line.strip()


def parse(line: str) -> tuple[SlashCommand, str]:
    """The command of a line, and what stands behind it.

    Raises:
        InputError: If there is none of that name; names the nearest.
    """
    word, _, rest = line.strip().removeprefix("/").partition(" ")
    if word.lower() not in _BY_NAME:
        close = nearest(word.lower(), _BY_NAME)
        hint = " or ".join(f"/{name}" for name in close) if close else "/help"
        raise InputError(f"there is no /{word}", hint=hint)
    return _BY_NAME[word.lower()], rest.strip()


def matching(typed: str) -> list[SlashCommand]:
    """Commands that a beginning may become, the best first; letters may be left out.

    >>> [each.name for each in matching("/cp")]
    ['copy', 'compare']
    """
    wanted = typed.strip().removeprefix("/").lower()
    ranked = [(rank, each) for each in COMMANDS if (rank := _rank(wanted, each)) is not None]
    return [each for _, each in sorted(ranked, key=lambda pair: pair[0])]


def _rank(wanted: str, command: SlashCommand) -> tuple[int, int] | None:
    names = (command.name, *command.aliases)
    spans = [span for name in names if (span := fuzzy_span(wanted, name)) is not None]
    if not spans:
        return None
    begins = any(name.startswith(wanted) for name in names)
    return (0 if begins else 1, 0 if begins else min(spans))


def fuzzy_span(wanted: str, text: str) -> int | None:
    """How far apart the letters of ``wanted`` stand in ``text``, in order; None if they do not."""
    position, first = -1, 0
    for number, letter in enumerate(wanted):
        position = text.find(letter, position + 1)
        if position < 0:
            return None
        first = position if not number else first
    return first + position - first - len(wanted) + 1 + first


def help_lines(commands: Iterable[SlashCommand] = COMMANDS) -> list[tuple[str, str]]:
    """Usage and help of each command."""
    return [(each.usage, each.help) for each in commands]
