"""What a verb is given: families of settings put together."""

from dataclasses import dataclass, field

from tissu_core.config.chat import ChatConfig
from tissu_core.config.data import DataConfig
from tissu_core.config.decoding import DecodingConfig, PromptsConfig
from tissu_core.config.fields import setting
from tissu_core.config.objective import ObjectiveConfig
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.config.shape import ModelShape
from tissu_core.config.training import DeviceConfig, MachineConfig, TrainingConfig
from tissu_core.config.tuning import TuningConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRun:
    """A training run as asked for; its resolved form is stored beside the model."""

    name: str = setting("", "name of the run; the default is made from the corpus", flag="--name")
    name_stem: str = setting("", "what a made-up name begins with; the corpus gives it otherwise")
    out: str = setting(
        "",
        "directory of the run; the default is in tissu's home",
        flag="--out",
        metavar="DIR",
        is_path=True,
    )
    model: ModelShape = field(default_factory=ModelShape)
    data: DataConfig = field(default_factory=DataConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseRun:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRun:
    """Reading text, and using a model on it."""

    data: DataConfig = field(default_factory=DataConfig)
    machine: DeviceConfig = field(default_factory=DeviceConfig)


STORED_FACTS = ("planned_steps", "tokens_key", "data_seam")
"""What a run's config.toml holds beside settings; read as a settings file, it is passed over."""

RUNS: tuple[type, ...] = (TrainRun, UseRun, GenerateRun, ChatRun, MeasureRun)
"""What files and the environment can set: a setting of any of these."""
