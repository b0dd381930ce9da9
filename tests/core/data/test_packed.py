import gzip
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from tests.core.data.test_documents import check_text, put, read
from tests.samples import STORY
from tissu_core.data.packed import NotTextError
from tissu_core.errors import InputError

Pack = Callable[[bytes], bytes]
PACKINGS = pytest.mark.parametrize(
    ("packing", "pack"), [(".gz", gzip.compress), (".zst", zstd.compress)]
)


@PACKINGS
def test_packed_text_is_read(tmp_path: Path, packing: str, pack: Pack) -> None:
    path = put(tmp_path, f"a.txt{packing}", pack(STORY.encode()))
    assert read(path) == ([STORY], [])
    assert check_text(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@PACKINGS
def test_packed_json_lines_are_read(tmp_path: Path, packing: str, pack: Pack) -> None:
    path = put(tmp_path, f"a.jsonl{packing.upper()}", pack(b'{"text": "one"}\n{"text": "two"}'))
    assert read(path) == (["one", "two"], [])


@PACKINGS
def test_several_parts_in_a_row_are_read(tmp_path: Path, packing: str, pack: Pack) -> None:
    path = put(tmp_path, f"a{packing}", pack(b"one ") + pack(b"two"))
    assert read(path)[0] == ["one two"]


@PACKINGS
@pytest.mark.parametrize("keep", [5, 40, -9, -1])
def test_a_cut_file_is_broken(tmp_path: Path, packing: str, pack: Pack, keep: int) -> None:
    path = put(tmp_path, f"a.txt{packing}", pack(STORY.encode())[:keep])
    with pytest.raises(NotTextError, match=rf"broken \{packing}"):
        check_text(path)


def with_checksum(data: bytes) -> bytes:
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


@pytest.mark.parametrize(("packing", "pack"), [(".gz", gzip.compress), (".zst", with_checksum)])
def test_a_flipped_bit_is_broken(tmp_path: Path, packing: str, pack: Pack) -> None:
    data = bytearray(pack(STORY.encode()))
    data[len(data) // 2] ^= 4
    with pytest.raises(NotTextError):
        check_text(put(tmp_path, f"a.txt{packing}", bytes(data)))


@PACKINGS
def test_text_that_is_called_packed_is_broken(tmp_path: Path, packing: str, pack: Pack) -> None:
    with pytest.raises(NotTextError, match=rf"broken \{packing}"):
        check_text(put(tmp_path, f"a{packing}", b"plain text"))


@PACKINGS
def test_what_unpacks_without_end_is_a_bomb(tmp_path: Path, packing: str, pack: Pack) -> None:
    path = put(tmp_path, f"a.txt{packing}", pack(b" " * (8 << 20)))
    with pytest.raises(NotTextError, match="200 times its size"):
        check_text(path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    with pytest.raises(InputError, match=r"\.zst") as caught:
        check_text(put(tmp_path, "a.txt.zst", zstd.compress(b"text")))
    assert "pip install backports.zstd" in caught.value.hint
