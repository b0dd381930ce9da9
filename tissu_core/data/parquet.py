"""Texts in a column of a Parquet file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tissu_core.data.packed import NotTextError
from tissu_core.errors import missing_package

_COLUMNS = ("text", "content")
_ROWS = 64  # a row may be a book
_BUFFER_BYTES = 1 << 20


def iter_parquet_texts(path: Path, column: str) -> Iterator[str]:
    """The texts of a column, read in small batches: row groups may be larger than memory.

    ``column`` may be empty: then it is ``text``, or ``content``.

    Raises:
        NotTextError: If it is broken or has no such column.
        InputError: If pyarrow is missing.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise missing_package("pyarrow", "reading .parquet files") from error
    with path.open("rb") as source:
        try:
            with parquet.ParquetFile(source, buffer_size=_BUFFER_BYTES) as file:
                name = _find_column(file.schema_arrow, (column,) if column else _COLUMNS)
                for batch in file.iter_batches(_ROWS, columns=[name], use_threads=False):
                    for value in batch.column(0):
                        if text := value.as_py():
                            yield text
        except (pyarrow.ArrowException, UnicodeDecodeError) as error:
            raise NotTextError("broken .parquet") from error
        except OSError as error:
            if error.errno is None:  # of the file's insides; those of the disk have a number
                raise NotTextError("broken .parquet") from error
            raise


def _find_column(schema: Any, wanted: tuple[str, ...]) -> str:
    from pyarrow import types

    def is_text(kind: Any) -> bool:
        kind = kind.value_type if types.is_dictionary(kind) else kind
        return bool(types.is_string(kind) or types.is_large_string(kind))

    texts = [field.name for field in schema if is_text(field.type)]
    for name in wanted:
        if name in texts:
            return name
    known = ", ".join(texts) or "none"
    raise NotTextError(f".parquet without a column {' or '.join(wanted)} of text; it has {known}")
