"""One answer: raw text, one JSON object, or the prompt itself."""

import sys
from contextlib import closing

from tissu_cli.commands.model_loading import load
from tissu_cli.commands.signals import Signals
from tissu_cli.render.console import data, print_json, say
from tissu_cli.render.prompt import prompt_text
from tissu_cli.render.stream import stream_reply
from tissu_cli.sessions.setup import Setup
from tissu_cli.sessions.talk import Talk
from tissu_cli.settings import is_terminal_stdout
from tissu_core.events.records import to_record
from tissu_core.events.replies import GenerationFinished


def answer_once(setup: Setup, text: str, *, is_prompt_only: bool, is_json: bool) -> int:
    """Answer a message behind a conversation; returns the exit code."""
    for notice in setup.history.notices:
        say(notice)
    conversation = setup.conversation
    model = setup.open_model(conversation.model)
    with closing(setup.history), Signals() as signals:
        load(model)
        if not conversation.model and model.facts is not None:
            say(f"model: {model.facts.name}", "dim")
        if signals.exit_code:
            return signals.exit_code
        talk = Talk(model, setup.history, conversation, setup.settings_for(conversation.model))
        talk.say(text)
        if is_prompt_only:
            _print_prompt(talk, is_json=is_json)
            return signals.exit_code
        events = talk.run(talk.answer(), signals.stop)
        if is_json:
            end = [event for event in events if isinstance(event, GenerationFinished)][-1]
            path = model.facts.path if model.facts is not None else ""
            print_json({"model": path, "prompt": text, **to_record(end)})
        else:
            stream_reply(events)
        return signals.exit_code


def _print_prompt(talk: Talk, *, is_json: bool) -> None:
    """The prompt on stdout: to the letter where it is data, safe to look at on a terminal."""
    shown = talk.show_prompt()
    text = "".join(text for text, _ in shown.pieces)
    if is_json:
        path = talk.model.facts.path if talk.model.facts is not None else ""
        pieces = [{"text": text, "is_control": is_control} for text, is_control in shown.pieces]
        print_json({"model": path, "prompt": text, "ids": shown.ids, "pieces": pieces})
    elif is_terminal_stdout():
        data().print(prompt_text(shown.pieces), soft_wrap=True)
    else:
        sys.stdout.write(text)
