"""Processes that hold conversations until they are killed, forked from one that has no torch.

Reads lines. A path is a file of conversations: a process begins to write there, and its number is
the answer. An empty line waits for its end, and is answered by "ended". Between the two, the
process says what was kept, each time after the method returned.
"""

import os
import sys
from pathlib import Path

import filelock  # noqa: F401  here, rather than in each child

from tests.cli.sessions.conversations import ask, token
from tissu_cli.sessions.conversation import Conversation, Turn
from tissu_cli.sessions.history import History


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def converse(path: Path) -> None:
    history = History.open(path)
    conversation = Conversation()
    while True:
        question = ask(conversation, "how is it?")
        history.add(conversation, question)
        say(f"added {conversation.id} {question.id}")
        reply = Turn(parent=conversation.leaf, role="assistant", state="writing")
        history.add(conversation, conversation.add(reply))
        for _ in range(3):
            new = [token(f"token {len(reply.tokens) + number} ") for number in range(20)]
            reply.tokens += new
            reply.text += "".join(each.text for each in new)
            history.append(conversation, reply, new)
            say(f"wrote {conversation.id} {reply.id} {len(reply.tokens)}")
        reply.state = "done"
        history.finish(conversation, reply)
        say(f"finished {conversation.id} {reply.id} {len(reply.tokens)}")


if __name__ == "__main__":
    for line in sys.stdin:
        if line.strip():
            child = os.fork()
            if child == 0:
                try:
                    converse(Path(line.strip()))
                finally:
                    os._exit(1)
            say(str(child))
        else:
            os.waitpid(child, 0)
            say("ended")
