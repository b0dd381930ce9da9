"""Going on from a model that has learned before."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningConfig:
    """The model that a run begins with, and what of a model stays as it is."""

    origin: str = setting(
        "",
        "go on training this model: its weights, shape, tokenizer and chat template; files of "
        "conversations then teach it to answer",
        flag="--from",
        metavar="MODEL",
        panel="Fine-tuning",
    )
    origin_sha256: str = setting("", "hash of its weights, written when a run begins")
    freeze: str = setting(
        "",
        "leave these tensors as they are: embed, head, norm, layers.0-3, layers.*.attn; commas "
        "between",
        flag="--freeze",
        panel="Fine-tuning",
    )

    def __post_init__(self) -> None:
        check(self)
