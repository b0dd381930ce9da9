"""The verb inspect: what is inside a model."""

from collections.abc import Iterator

from tissu_core.events import TensorSummarized
from tissu_core.runs.catalog import find_model


def inspect_weights(query: str, model: str | None, bins: int) -> Iterator[TensorSummarized]:
    """Statistics of each tensor that a forgiving path names, with a histogram of ``bins``.

    Raises:
        InputError: If there is no such model.
        ConfigError: If no tensor matches.
    """
    path = find_model(model)
    from tissu_core.checkpoint.model_directory import refuse_pickles
    from tissu_core.interpret.weights import summarize

    refuse_pickles(path)
    yield from summarize(path, query, bins)
