"""How an answer is traced back to the words of its prompt."""

from dataclasses import dataclass

from tissu_core.config.fields import check, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainConfig:
    """What is asked of a prompt, and how often."""

    method: str = setting(
        "shap",
        "shap: what each word adds, on average over all orders in which words can come; lime: a "
        "line through what is left with words away; ig: gradients on the way from no words",
        flag="--method",
        choices=("shap", "lime", "ig"),
    )
    by: str = setting("word", "what a share is given to", flag="--by", choices=("word", "token"))
    neutral: str | None = setting(
        None,
        "one token, which stands where a word is away; by default a space, and for ig the mean of "
        "all embeddings",
        flag="--neutral",
        metavar="TEXT",
    )
    samples: int = setting(
        1024,
        "readings of the prompt with words away, for shap and lime; where so many are all there "
        "are, values are exact",
        flag="--samples",
        minimum=16,
        maximum=1 << 20,
    )
    seed: int = setting(0, "of which words are away", flag="--seed", minimum=0)

    def __post_init__(self) -> None:
        check(self)
