"""The verb inspect tree: a model's tensors by name, each read when it is asked for."""

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tissu_core.errors import ConfigError
from tissu_core.events.tensors import TensorListed, TensorSummarized
from tissu_core.runs.catalog import find_model
from tissu_core.runs.inspect.readers import open_reader

if TYPE_CHECKING:
    from tissu_core.interpret.tensors.reading import TensorReader


class ModelTree:
    """The tensors of a model by name, each read when it is asked for."""

    def __init__(self, path: Path, reader: "TensorReader") -> None:
        from tissu_core.interpret.tensors.names import in_order

        self.path = path
        self._reader = reader
        self.tensors: tuple[TensorListed, ...] = tuple(map(reader.listed, in_order(reader.names)))

    def find(self, query: str) -> list[str]:
        """Names that a forgiving path matches, else those that have its parts in this order.

        Raises:
            ConfigError: If none does; names the nearest.
        """
        from tissu_core.interpret.tensors.names import match_names

        try:
            return match_names(query, self._reader.names)
        except ConfigError:
            with suppress(ConfigError):
                return match_names(query.strip(". ").replace(".", ".**."), self._reader.names)
            raise

    def examine(self, name: str, bins: int) -> TensorSummarized:
        """One tensor by its whole name, with its spectrum where that is quick; no other is read.

        Raises:
            InputError: If the file is damaged.
        """
        from tissu_core.interpret.tensors.summaries import examine, is_quick

        has_spectrum = is_quick(self._reader, [name])
        return examine(self._reader, name, bins, has_spectrum=has_spectrum)


def open_tree(model: str | None, leases: ExitStack) -> ModelTree:
    """The tensors of a model from the headers of its files.

    Raises:
        InputError: If there is no such model, or it is damaged.
    """
    path = find_model(model)
    return ModelTree(path, open_reader(path, leases))
