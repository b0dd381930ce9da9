"""What inspect explain found, made up."""

from collections.abc import Sequence

from tissu_core.events.attributions import PartAttributed, PromptExplained


def explained(values: Sequence[float]) -> PromptExplained:
    """Words w0, w1, ... of these values."""
    return PromptExplained(
        model="m",
        method="shap",
        by="word",
        prompt="",
        target=" t",
        target_tokens=(" t",),
        is_own_target=False,
        likeliest=" t",
        likeliest_log_prob=-1.0,
        log_prob=-1.0,
        neutral=" ",
        neutral_log_prob=-1.0 - sum(values),
        parts=tuple(
            PartAttributed(
                text=f"{' ' * bool(i)}w{i}", first_token=i, num_tokens=1, value=value, error=0.0
            )
            for i, value in enumerate(values)
        ),
        sum_of_values=sum(values),
        gap=0.0,
        readings=1 << len(values),
        is_exact=True,
        fit=None,
    )
