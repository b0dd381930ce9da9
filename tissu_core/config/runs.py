"""What a verb is given: families of settings put together; those of using a model: ``use.py``."""

from dataclasses import dataclass, field

from tissu_core.config.compress import QuantizeConfig
from tissu_core.config.data import DataConfig
from tissu_core.config.fields import Settings, setting
from tissu_core.config.machine import DeviceConfig, MachineConfig
from tissu_core.config.objective import ObjectiveConfig
from tissu_core.config.optimizer import OptimizerConfig
from tissu_core.config.shape import ModelShape
from tissu_core.config.training import TrainingConfig
from tissu_core.config.tuning import TuningConfig
from tissu_core.config.use import ChatRun, GenerateRun, UseRun


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRun(Settings):
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
class MeasureRun(Settings):
    """Reading text, and using a model on it."""

    data: DataConfig = field(default_factory=DataConfig)
    machine: DeviceConfig = field(default_factory=DeviceConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeRun(MeasureRun):
    """Packing a model."""

    quantize: QuantizeConfig = field(default_factory=QuantizeConfig)


RUNS: tuple[type[Settings], ...] = (TrainRun, UseRun, GenerateRun, ChatRun, MeasureRun, QuantizeRun)
"""All that files and the environment can set something of."""
