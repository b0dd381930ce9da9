"""What computes, and in which numbers."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting
from tissu_core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """What computes."""

    device: str = setting(
        "auto",
        "where to compute",
        flag="--device",
        choices=("auto", "cpu", "cuda", "mps"),
        panel="Machine",
    )
    threads: int | None = setting(
        None, "processor threads", flag="--threads", minimum=1, maximum=1024, panel="Machine"
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineConfig(DeviceConfig):
    """What trains, and in which numbers."""

    precision: str = setting(
        "auto",
        "numbers of the matrix products; weights and optimizer stay fp32",
        flag="--precision",
        choices=("auto", "fp32", "bf16"),
        panel="Machine",
    )
    compile: bool = setting(
        False,
        "compile the model first, which takes minutes and pays back in long runs",
        flag="--compile",
        panel="Machine",
    )
    gpus: int = setting(1, "GPUs to train on", flag="--gpus", minimum=1, panel="Machine")

    def __post_init__(self) -> None:
        check(self)
        if self.gpus > 1:
            raise ConfigError(
                f"--gpus is {self.gpus}, and this version trains on one",
                field="gpus",
                hint="--gpus 1",
            )
