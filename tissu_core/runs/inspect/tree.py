"""The verb inspect tree: a model's tensors by name, each read when it is asked for."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.events.tensors import TensorListed, TensorSummarized
from tissu_core.runs.catalog import find_model
from tissu_core.runs.inspect.readers import open_reader

if TYPE_CHECKING:
    from tissu_core.interpret.tensor_reading import TensorReader


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
