"""Conversations to keep, and what they are compared by."""

from contextlib import closing
from pathlib import Path

from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.history import History
from tissu_core.events.replies import Alternative, GenerationFinished, TokenGenerated


def token(text: str, number: int = 7) -> TokenGenerated:
    other = Alternative(token_id=number + 1, text="…", logprob=-2.5)
    return TokenGenerated(
        text=text, token_id=number, logprob=-0.125, entropy=1.5, alternatives=(other,)
    )


def finished(text: str) -> GenerationFinished:
    return GenerationFinished(
        text=text,
        tail="",
        reason="stop",
        prompt_tokens=5,
        new_tokens=3,
        first_token_seconds=0.25,
        tokens_per_second=12.5,
    )


def ask(conversation: Conversation, text: str) -> Turn:
    return conversation.add(Turn(parent=conversation.leaf, role="user", text=text))


def reply(conversation: Conversation, text: str, parent: str | None = None) -> Turn:
    words = [f"{word} " for word in text.split()]
    turn = Turn(
        parent=parent or conversation.leaf,
        role="assistant",
        text="".join(words),
        model="smollm2",
        tokens=[token(word, number) for number, word in enumerate(words)],
        settings={"temperature": 0.5, "stop": ["END"]},
        end=finished("".join(words)),
    )
    return conversation.add(turn)


def a_conversation(*texts: str) -> Conversation:
    """Turns by turns, the person's first."""
    conversation = Conversation(model="smollm2", settings={"top_k": 5})
    for number, text in enumerate(texts or ("hello", "hi there", "how are you?", "fine")):
        if number % 2:
            reply(conversation, text)
        else:
            ask(conversation, text)
    return conversation


def same(found: Conversation, expected: Conversation) -> bool:
    """Equal, the order of the turns included."""
    return found == expected and [*found.turns] == [*expected.turns]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def filled(path: Path, count: int = 3) -> list[Conversation]:
    with closing(History.open(path)) as history:
        conversations = [a_conversation(f"number {n}", "yes " * 400) for n in range(count)]
        for conversation in conversations:
            history.save(conversation)
    return conversations


def kept(history: History, *texts: str) -> Conversation:
    conversation = a_conversation(*texts)
    history.save(conversation)
    return conversation
