"""The verb inspect weights: the tensors of a model, on their own or against another's."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.checkpoint.leases import lease
from tissu_core.errors import ConfigError
from tissu_core.events.tensors import TensorListed, TensorSummarized
from tissu_core.runs.catalog import find_model

if TYPE_CHECKING:
    from tissu_core.interpret.tensor_reading import TensorReader


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
    from tissu_core.interpret.tensors import Wanted, summarize

    with ExitStack() as leases:
        reader = open_reader(path, leases)
        compared = None if other is None else open_reader(other, leases)
        yield from summarize(reader, query, Wanted(bins=bins, has_spectrum=has_spectrum), compared)


def refuse_same(one: Path, other: Path, field: str) -> None:
    """Refuse to compare a model with itself.

    Raises:
        ConfigError: If both are in one place.
    """
    if one.resolve() == other.resolve():
        raise ConfigError(
            f"both models are {one}; there is nothing to compare",
            field=field.lstrip("-"),
            hint="name another one: RUN:STEP is a checkpoint, tissu models list shows models",
        )


def open_reader(path: Path, leases: ExitStack) -> "TensorReader":
    """A model's tensors; a run's checkpoint stays until ``leases`` are closed.

    Raises:
        InputError: If it is none, or damaged.
    """
    from tissu_core.checkpoint.model_directory import open_model
    from tissu_core.interpret.tensor_reading import TensorReader

    leases.enter_context(lease(path))
    return TensorReader(open_model(path))


class ModelTree:
    """The tensors of a model by name, each read when it is asked for."""

    def __init__(self, path: Path, reader: "TensorReader") -> None:
        from tissu_core.interpret.tensor_names import in_order

        self.path = path
        self._reader = reader
        self.tensors: tuple[TensorListed, ...] = tuple(map(reader.listed, in_order(reader.names)))

    def find(self, query: str) -> list[str]:
        """Names that a forgiving path matches.

        Raises:
            ConfigError: If none does; names the nearest.
        """
        from tissu_core.interpret.tensor_names import match_names

        return match_names(query, self._reader.names)

    def examine(self, name: str, bins: int, *, has_spectrum: bool = True) -> TensorSummarized:
        """One tensor by its whole name; nothing else is read.

        Raises:
            InputError: If the file is damaged.
        """
        from tissu_core.interpret.tensors import examine

        return examine(self._reader, name, bins, has_spectrum=has_spectrum)


def open_tree(model: str | None, leases: ExitStack) -> ModelTree:
    """The tensors of a model from the headers of its files.

    Raises:
        InputError: If there is no such model, or it is damaged.
    """
    path = find_model(model)
    return ModelTree(path, open_reader(path, leases))
