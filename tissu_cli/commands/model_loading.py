"""A model made ready where nothing is drawn meanwhile."""

from tissu_cli.render.console import say, say_notice
from tissu_core.events.replies import ModelLoaded
from tissu_core.events.shared import Noticed
from tissu_core.runs.chat.model import ChatModel


def load(model: ChatModel) -> None:
    """Make a model ready; say what a person should know of it."""
    for event in model.load():
        match event:
            case Noticed():
                say_notice(event)
            case ModelLoaded() if not event.has_template:
                say("this is a base model: it continues your text rather than answering it", "dim")
            case _:
                pass
