"""What of a training run is watched closely. No part of what is stored with a run."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileConfig:
    """Which steps are profiled, and for what."""

    profile: str | None = setting(
        None,
        "say where some steps spend their time or memory, and leave a trace in the run",
        flag="--profile",
        choices=("cpu", "memory"),
        panel="Loop",
    )
    profile_steps: int = setting(
        3,
        "how many, after 3 to warm up",
        flag="--profile-steps",
        unit="steps",
        minimum=1,
        maximum=100,
        panel="Loop",
    )

    def __post_init__(self) -> None:
        check(self)


NO_PROFILE = ProfileConfig()
