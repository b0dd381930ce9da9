"""Whatever is done in whatever order, what is loaded is what was held in memory."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.cli.sessions.conversations import finished, same, token
from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.history import History

TEXTS = st.text(max_size=30)
NUMBERS = st.integers(0, 1000)


class Walk(RuleBasedStateMachine):
    """One conversation, and the file that it is kept in."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.history = History.open(self.folder / "chats.db")
        self.conversation = Conversation()
        self.history.save(self.conversation)

    def teardown(self) -> None:
        self.history.close()
        shutil.rmtree(self.folder)

    def turn(self, number: int) -> Turn:
        turns = [*self.conversation.turns.values()]
        return turns[number % len(turns)]

    @rule(text=TEXTS)
    def say(self, text: str) -> None:
        self.add(Turn(parent=self.conversation.leaf, role="user", text=text))

    @rule(text=TEXTS, count=st.integers(0, 5), draft=TEXTS)
    def write(self, text: str, count: int, draft: str) -> None:
        turn = Turn(parent=self.conversation.leaf, role="assistant", state="writing", model="m")
        self.add(turn)
        self.append(turn, text, count)
        turn.state = "stopped"
        self.history.finish(self.conversation, turn)
        self.conversation.draft = draft
        self.history.save(self.conversation)

    @precondition(lambda self: self.conversation.turns)
    @rule(number=NUMBERS, text=TEXTS)
    def go_on(self, number: int, text: str) -> None:
        turn = self.turn(number)
        self.append(turn, text, 2)
        turn.end, turn.state = finished(turn.text), "cut"
        self.history.finish(self.conversation, turn)

    @precondition(lambda self: self.conversation.turns)
    @rule(number=NUMBERS, text=TEXTS)
    def edit(self, number: int, text: str) -> None:
        turn = self.turn(number)
        self.add(Turn(parent=turn.parent, role=turn.role, text=text))

    @precondition(lambda self: self.conversation.turns)
    @rule(number=NUMBERS)
    def show(self, number: int) -> None:
        self.conversation.show(self.turn(number))
        self.history.save(self.conversation)

    @precondition(lambda self: self.conversation.turns)
    @rule(number=NUMBERS, rating=st.sampled_from([-1, 0, 1]))
    def rate(self, number: int, rating: int) -> None:
        turn = self.turn(number)
        turn.rating = rating  # type: ignore[assignment]
        self.history.rate(self.conversation, turn)

    @rule(title=TEXTS)
    def rename(self, title: str) -> None:
        self.conversation.title = title
        self.history.rename(self.conversation.id, title)

    @precondition(lambda self: self.conversation.turns)
    @rule(number=NUMBERS)
    def search(self, number: int) -> None:
        text = self.turn(number).text
        if text.strip() and "\0" not in text:
            assert [found.id for found in self.history.search(text, 5)] == [self.conversation.id]

    @rule()
    def reopen(self) -> None:
        self.history.close()
        self.history = History.open(self.folder / "chats.db")

    @rule()
    def lose_the_file(self) -> None:
        (self.folder / "chats.db").unlink()
        self.history.save(self.conversation)

    @invariant()
    def what_is_loaded_is_what_is_held(self) -> None:
        assert same(self.history.load(self.conversation.id), self.conversation)

    def add(self, turn: Turn) -> None:
        self.conversation.add(turn)
        self.history.add(self.conversation, turn)
        turn.state = "stopped" if turn.state == "writing" else turn.state

    def append(self, turn: Turn, text: str, count: int) -> None:
        new = [token(text, number) for number in range(count)]
        turn.tokens += new
        turn.text += text * count
        self.history.append(self.conversation, turn, new)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=25, stateful_step_count=15)
