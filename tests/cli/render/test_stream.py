"""A model may say anything; the terminal shows it and obeys none of it."""

import io
import sys

import pytest

from tissu_cli.render import stream
from tissu_cli.render.stream import stream_reply
from tissu_core.events.replies import ChatEvent, GenerationFinished, TokenGenerated

HOSTILE = "\x1b]52;c;cm0=\x07 [/INST] [bold] \u202e\x9b2J \r"


def reply(*pieces: str) -> list[ChatEvent]:
    tokens: list[ChatEvent] = [TokenGenerated(text=p, token_id=1, logprob=0.0) for p in pieces]
    end = GenerationFinished(
        text="".join(pieces),
        tail="",
        reason="stop",
        prompt_tokens=1,
        new_tokens=len(pieces),
        first_token_seconds=0.1,
        tokens_per_second=1.0,
    )
    return [*tokens, end]


def shown(monkeypatch: pytest.MonkeyPatch, *pieces: str, terminal: bool) -> str:
    out = io.StringIO()
    monkeypatch.setattr(stream, "is_terminal_stdout", lambda: terminal)
    monkeypatch.setattr(sys, "stdout", out)
    stream_reply(reply(*pieces))
    return out.getvalue()


@pytest.mark.parametrize("size", [1, 3, 100])
def test_controls_are_shown_however_they_are_cut(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    pieces = [HOSTILE[i : i + size] for i in range(0, len(HOSTILE), size)]
    text = shown(monkeypatch, *pieces, terminal=True)
    assert not {"\x1b", "\x07", "\u202e", "\x9b", "\r"} & {*text}
    assert text == "␛]52;c;cm0=␇ [/INST] [bold] <u+202e><9b>2J ␍\n"
    assert shown(monkeypatch, *pieces, terminal=False) == HOSTILE + "\n"


def test_ten_megabytes_without_a_newline_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    piece = "織x\x1b" * 1000
    text = shown(monkeypatch, *[piece] * 2000, terminal=True)
    assert len(text.encode()) > 10_000_000
    assert text == piece.replace("\x1b", "␛") * 2000 + "\n"
