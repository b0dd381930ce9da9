"""What a model is trained to do, beside predicting the next token."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """Terms of the training loss; validation stays plain negative log-likelihood."""

    label_smoothing: float = setting(
        0.0,
        "share of each target that is spread over the whole vocabulary",
        flag="--label-smoothing",
        minimum=0,
        maximum=1,
        panel="Objective",
    )
    z_loss: float = setting(
        0.0,
        "weight of the squared logarithm of the softmax's normaliser; PaLM took 1e-4",
        flag="--z-loss",
        minimum=0,
        panel="Objective",
    )

    def __post_init__(self) -> None:
        check(self)
