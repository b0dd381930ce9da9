"""What the verbs that use a model are given."""

from dataclasses import dataclass, field

from tissu_core.config.chat import ChatConfig
from tissu_core.config.decoding import DecodingConfig, PromptsConfig
from tissu_core.config.fields import Settings
from tissu_core.config.machine import DeviceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class UseRun(Settings):
    """Using a model: how tokens are chosen, and where it computes."""

    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    machine: DeviceConfig = field(default_factory=DeviceConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRun(UseRun):
    """Continuing one text, or many."""

    prompts: PromptsConfig = field(default_factory=PromptsConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRun(UseRun):
    """Holding a conversation."""

    chat: ChatConfig = field(default_factory=ChatConfig)
