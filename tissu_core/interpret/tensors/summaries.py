"""All that is known of a model's tensors, one of them in memory at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tissu_core.errors import InputError
from tissu_core.events.tensors import TensorCompared, TensorSummarized
from tissu_core.interpret.tensors.comparison import compare_tensors, measure_rounding
from tissu_core.interpret.tensors.lines import examine_lines
from tissu_core.interpret.tensors.names import match_names
from tissu_core.interpret.tensors.reading import TensorReader
from tissu_core.interpret.tensors.spectrum import measure_spectrum, spectrum_cost
from tissu_core.interpret.tensors.statistics import summarize_tensor

FEW = 8
"""Tensors that are told each on its own."""
_QUICK = 4e10
"""Operations of spectra that nobody asked for: some 6 s on 2 cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to find of tensors. ``has_spectrum`` None is where it is quick."""

    bins: int
    has_spectrum: bool | None = None


def summarize(
    reader: TensorReader, query: str, wanted: Wanted, against: TensorReader | None = None
) -> Iterator[TensorSummarized]:
    """Every matching tensor of a model.

    Raises:
        InputError: If there are no safetensors, or ``against`` lacks all of what matches.
        ConfigError: If nothing matches.
    """
    names = match_names(query, reader.names)
    if against is not None and not any(name in against.names for name in names):
        raise InputError(
            f"{against.model.path} has no tensor {names[0]}"
            + (f", and {len(names) - 1} others" if len(names) > 1 else ""),
            hint="a model of the same architecture, or see: tissu inspect diff A B",
        )
    has_spectrum = wanted.has_spectrum
    if has_spectrum is None:
        has_spectrum = len(names) <= FEW and is_quick(reader, names)
    for name in names:
        yield examine(reader, name, wanted.bins, has_spectrum=has_spectrum, against=against)


def is_quick(reader: TensorReader, names: Sequence[str]) -> bool:
    """Whether the spectra of these tensors take seconds."""
    return sum(spectrum_cost(reader.shape(name)) for name in names) <= _QUICK


def examine(
    reader: TensorReader,
    name: str,
    bins: int,
    *,
    has_spectrum: bool,
    against: TensorReader | None = None,
) -> TensorSummarized:
    """One tensor by its whole name; ``against`` another's where that has it in the same shape."""
    tensor = reader.read(name)
    listed = reader.listed(name)
    why_not = "" if against is None else _not_comparable(against, name, listed.shape)
    comparison: TensorCompared | None = None
    if against is not None and not why_not:
        comparison = compare_tensors(name, against.read(name), tensor)
    is_other_packed = comparison is not None and against is not None and against.is_packed(name)
    dtype = listed.dtype if reader.is_packed(name) else str(tensor.dtype).removeprefix("torch.")
    rounded_from = None if is_other_packed else comparison
    return replace(
        summarize_tensor(name, dtype, tensor, bins),
        num_bytes=listed.num_bytes,
        lines=examine_lines(tensor),
        spectrum=measure_spectrum(tensor) if has_spectrum else None,
        rounding=measure_rounding(reader, name, tensor, rounded_from),
        comparison=comparison,
        not_compared=why_not,
    )


def _not_comparable(other: TensorReader, name: str, shape: tuple[int, ...]) -> str:
    if name not in other.names:
        return "the other model has none of this name"
    theirs = other.shape(name)
    return "" if theirs == shape else f"the other model's is {' x '.join(map(str, theirs))}"
