"""How a model is packed."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting
from tissu_core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeConfig:
    """In how many bits weights are kept, and how they are rounded."""

    bits: int = setting(8, "bits of a weight: 8 or 4", flag="--bits", minimum=1, maximum=32)
    group: int | None = setting(
        None,
        "weights that share a scale, of 4 bits; by default 64, or 32 where that divides more",
        flag="--group",
        minimum=1,
    )
    method: str = setting(
        "rtn",
        "of 4 bits: to the nearest level (rtn), or so that each layer's outputs on --calib change "
        "least, weight by weight (gptq) or with inputs scaled first (awq)",
        flag="--method",
        choices=("rtn", "gptq", "awq"),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.bits not in (4, 8):
            nearest = 4 if self.bits < 6 else 8
            raise ConfigError(
                f"--bits is {self.bits}, and this version packs 8 or 4",
                field="bits",
                hint=f"--bits {nearest}",
            )
        if self.group is not None and self.group not in GROUPS:
            raise ConfigError(
                f"--group is {self.group}; scales are shared by {', '.join(map(str, GROUPS))}",
                field="group",
                hint=f"--group {GROUPS[1]}",
            )
        for name in ("group", "method"):
            if self.bits == 8 and getattr(self, name) not in (None, "rtn"):
                raise ConfigError(
                    f"--{name} is for 4 bits, and --bits is 8: a row has one scale",
                    field=name,
                    hint=f"--bits 4 --{name} {getattr(self, name)}",
                )


GROUPS = (32, 64, 128)
