"""The verb inspect weights: the tensors of a model, on their own or against another's."""

from collections.abc import Iterator
from contextlib import ExitStack

from tissu_core.events.tensors import TensorSummarized
from tissu_core.runs.catalog import find_model
from tissu_core.runs.inspect.readers import open_reader, refuse_same


def inspect_weights(
    query: str,
    model: str | None,
    bins: int,
    *,
    against: str | None = None,
    has_spectrum: bool | None = None,
) -> Iterator[TensorSummarized]:
    """Each tensor that a forgiving path names, with a histogram of ``bins``.

    Spectra are left out where ``has_spectrum`` is None and they would take long.

    Raises:
        InputError: If there is no such model, or ``against`` has none of these tensors.
        ConfigError: If no tensor matches, or both models are one.
    """
    path = find_model(model)
    other = None if against is None else find_model(against)
    if other is not None:
        refuse_same(path, other, "--against")
    from tissu_core.interpret.tensors.summaries import Wanted, summarize

    with ExitStack() as leases:
        reader = open_reader(path, leases)
        compared = None if other is None else open_reader(other, leases)
        yield from summarize(reader, query, Wanted(bins=bins, has_spectrum=has_spectrum), compared)
