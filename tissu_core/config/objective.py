"""What a model is trained to do, beside predicting the next token."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveConfig:
    """What is learned from, beside the text itself; validation stays plain NLL."""

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

    embed_noise: float = setting(
        0.0,
        "standard deviation of noise on the embeddings, in training alone",
        flag="--embed-noise",
        minimum=0,
        panel="Objective",
    )
    neftune: float = setting(
        0.0,
        "NEFTune's noise on the embeddings, in training alone: uniform within this over the root "
        "of tokens times width; the paper took 5 for tuning on conversations",
        flag="--neftune",
        minimum=0,
        panel="Objective",
    )
    document_mask: bool = setting(
        False,
        "let no token see what stands before <|endoftext|> in its window: documents that share "
        "one are read as if each were alone",
        flag="--document-mask",
        panel="Objective",
    )

    def __post_init__(self) -> None:
        check(self)
