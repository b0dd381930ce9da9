"""What a place where people converse is given."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tissu_cli.sessions.conversation import Conversation
    from tissu_cli.sessions.history import History
    from tissu_core.config.chat import ChatConfig
    from tissu_core.config.decoding import DecodingConfig
    from tissu_core.runs.chat.model import ChatModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that a front does not make itself. Models are named by MODEL, "" is the newest."""

    chat: "ChatConfig"
    history: "History"
    conversation: "Conversation"
    open_model: "Callable[[str], ChatModel]"
    """A model that is not loaded yet."""
    settings_for: "Callable[[str], DecodingConfig]"
    """How a model decodes, unless the conversation has settings of its own."""
    find_model: Callable[[str], object] = str
    """Raises where there is no model of a name, which is known before torch is imported."""
    model_names: Callable[[], Sequence[str]] = tuple
    newest: Callable[[], Hashable] | None = None
    """Of a run that is followed, what changes with its newest checkpoint."""
