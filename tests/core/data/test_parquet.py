import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.core.data.test_documents import check_text, read
from tests.samples import MIXED_TEXTS
from tissu_core.data.packed import NotTextError
from tissu_core.errors import InputError

TEXTS = [text for text in MIXED_TEXTS if text]


def put(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
)
def test_texts_of_all_row_groups_come_in_order(tmp_path: Path, kind: Any) -> None:
    column = pa.array([*TEXTS, None, "", "last"]).cast(kind)
    path = put(tmp_path / "a.parquet", id=list(range(len(column))), text=column)
    check_text(path)
    assert read(path) == ([*TEXTS, "last"], [])


def test_the_column_is_text_else_content_else_the_one_named(tmp_path: Path) -> None:
    path = put(tmp_path / "a.parquet", content=["one"], text=["two"], body=["three"])
    assert read(path)[0] == ["two"]
    assert read(path, text_column="body")[0] == ["three"]
    assert read(put(tmp_path / "b.parquet", content=["one"]))[0] == ["one"]


@pytest.mark.parametrize("columns", [{"body": ["x"], "id": [1]}, {"text": [1], "body": ["x"]}])
def test_without_a_column_of_text_those_there_are_named(
    tmp_path: Path, columns: dict[str, Any]
) -> None:
    with pytest.raises(NotTextError, match="column text or content of text; it has body"):
        check_text(put(tmp_path / "a.parquet", **columns))


@pytest.mark.parametrize("damage", ["cut", "flipped", "no parquet"])
def test_a_broken_file_is_no_text(tmp_path: Path, damage: str) -> None:
    path = put(tmp_path / "a.parquet", text=TEXTS * 100)
    data = bytearray(path.read_bytes())
    data[4:40] = bytes(36)
    path.write_bytes({"cut": data[:-20], "flipped": data, "no parquet": b"words"}[damage])
    with pytest.raises(NotTextError, match=r"broken \.parquet"):
        check_text(path)


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    found, _ = read(put(tmp_path / "a.parquet", text=["word " * 400_000]))
    assert "".join(found) == "word " * 400_000
    assert len(found) == 2


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a.parquet", text=["x"])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"\.parquet") as caught:
        check_text(path)
    assert "pip install pyarrow" in caught.value.hint
