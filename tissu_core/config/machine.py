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
        "numbers of the matrix products; weights and optimizer stay fp32; fp8, in blocks on GPUs "
        "that multiply it, is never chosen by itself",
        flag="--precision",
        choices=("auto", "fp32", "bf16", "fp16", "fp8"),
        panel="Machine",
    )
    compile: bool | None = setting(
        None,
        "compile the model first, or never; by default where it pays back within the run",
        flag="--compile",
        panel="Machine",
    )
    checkpoint_activations: str = setting(
        "none",
        "drop the activations of each block, or of its feed-forward part, and compute them again "
        "on the way back: less memory for a third more time, or less of both",
        flag="--checkpoint-activations",
        choices=("none", "block", "ffn"),
        panel="Machine",
    )
    attn_impl: str = setting(
        "auto",
        "what computes attention in training: torch's kernels (sdpa), its flash kernel alone, its "
        "FlexAttention (on a GPU), or plain products (eager); auto is the fastest",
        flag="--attn-impl",
        choices=("auto", "sdpa", "flash", "flex", "eager"),
        panel="Machine",
    )
    gpus: int = setting(
        1, "GPUs of this machine to train on", flag="--gpus", minimum=1, panel="Many"
    )
    procs: int = setting(
        1,
        "processes to train in, each with a share of the processor; with --device cpu",
        flag="--procs",
        minimum=1,
        maximum=1024,
        panel="Many",
    )
    shard: str = setting(
        "none",
        "what each process holds a part of: optim (its moments, ZeRO-1), grad (gradients, too) or "
        "full (weights, too), the last two by torch's FSDP2",
        flag="--shard",
        choices=("none", "optim", "grad", "full"),
        panel="Many",
    )
    tp: int = setting(
        1,
        "processes that hold a part of each layer, by heads and feed-forward width (tensor "
        "parallel, by tissu's own cuts); they read the same rows",
        flag="--tp",
        minimum=1,
        maximum=1024,
        panel="Many",
    )
    pp: int = setting(
        1,
        "stages of layers, through which micro-batches flow (pipeline parallel, by tissu's own "
        "schedule, one forward, one backward)",
        flag="--pp",
        minimum=1,
        maximum=1024,
        panel="Many",
    )
    bucket_mb: int = setting(
        25, "gradients sent at once, while the others are computed", minimum=1, unit="MB"
    )

    @property
    def num_workers(self) -> int:
        """Processes that train together on this machine, as asked for."""
        return max(self.gpus, self.procs)

    @property
    def num_parts(self) -> int:
        """Processes that hold one copy of the model together."""
        return self.tp * self.pp

    def __post_init__(self) -> None:
        check(self)
        self._check_workers()
        if self.num_workers > 1:
            check_copies(self, self.num_workers)
        if self.pp > 1:
            self._check_stages()
        if self.tp > 1 and self.precision == "fp8":
            raise ConfigError(
                "--tp cuts each matrix, and with --precision fp8 every part would be rounded by a "
                "scale of its own",
                field="precision",
                hint="--precision bf16, or --pp or --shard full in place of --tp",
            )

    def _check_stages(self) -> None:
        if self.shard in ("grad", "full"):
            raise ConfigError(
                f"--shard {self.shard} gathers a layer's weights for each micro-batch, and with "
                "--pp several are on their way at once",
                field="shard",
                hint="--shard optim, or --tp in place of --pp",
            )
        if self.compile:
            raise ConfigError(
                "--compile makes one piece of all layers, and --pp cuts them in stages",
                field="compile",
                hint="the same command without --compile, or --tp in place of --pp",
            )

    def _check_workers(self) -> None:
        if self.gpus > 1 and self.procs > 1:
            raise ConfigError(
                f"--gpus is {self.gpus} and --procs {self.procs}: one process trains on each GPU",
                field="procs",
                hint=f"--gpus {self.gpus}",
            )
        if self.procs > 1 and self.device != "cpu":
            raise ConfigError(
                f"--procs is {self.procs}, which is for processors, and --device {self.device}",
                field="procs",
                hint=f"--procs {self.procs} --device cpu",
            )
        if self.gpus > 1 and self.device == "cpu":
            raise ConfigError(
                f"--gpus is {self.gpus}, and --device cpu has none",
                field="gpus",
                hint=f"--procs {self.gpus} --device cpu",
            )


def check_copies(machine: MachineConfig, num_ranks: int) -> None:
    """Refuse a number of processes that do not hold whole copies of a model.

    Raises:
        ConfigError: Says which number would.
    """
    if num_ranks % machine.num_parts == 0:
        return
    asked = [f"--{name} {size}" for name, size in _sides(machine) if size > 1]
    fitting = -(-num_ranks // machine.num_parts) * machine.num_parts
    on_processors = f"--procs {fitting} --device cpu"
    raise ConfigError(
        f"{' and '.join(asked)} put a model on {machine.num_parts} processes, and "
        + (f"{num_ranks} are no multiple of that" if num_ranks > 1 else "this is one"),
        field="tp" if machine.tp > 1 else "pp",
        hint=on_processors if machine.device == "cpu" else f"--gpus {fitting}, or {on_processors}",
    )


def _sides(machine: MachineConfig) -> tuple[tuple[str, int], ...]:
    return ("tp", machine.tp), ("pp", machine.pp)
