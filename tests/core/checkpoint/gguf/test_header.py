"""Headers: what is read, what is refused, and that a forged one costs neither time nor memory."""

import contextlib
import struct
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
from gguf import GGUFReader, GGUFWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.checkpoint.gguf.bytes_of import file, key, number, tensor, text
from tests.damage import damaged, peak_megabytes
from tests.gguf_files import add_tokenizer, close
from tissu_core.checkpoint.gguf.header import parse_gguf, read_gguf
from tissu_core.errors import InputError
from tissu_core.text.tokenizer import Tokenizer

HUGE = 1 << 63
NEAR = 400
"""Of a small file's bytes those that the others hang on."""
ARRAY = struct.pack("<IQ", 4, 1 << 40)
BAD: dict[str, tuple[bytes, list[str]]] = {
    "empty": (b"", ["is empty"]),
    "magic": (file(magic=b"GGML"), ["magic is b'GGML' at byte 0", "b'GGUF'"]),
    "short": (b"GG", ["magic is b'GG' at byte 0"]),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\n", ["Git LFS pointer of 43 bytes"]),
    "version 1": (file(version=struct.pack("<I", 1)), ["version is 1 at byte 4", "2 or 3"]),
    "version 4": (file(version=struct.pack("<I", 4)), ["version is 4 at byte 4"]),
    "big-endian": (file(version=struct.pack(">I", 3)), ["version is 3, big-endian at byte 4"]),
    "cut before the counts": (file()[:12], ["n_tensors is 8 bytes at byte 8", "0..4"]),
    "n_tensors": (file(counts=(HUGE, 0)), ["n_tensors", "at byte 8", "0..65,536"]),
    "n_kv": (file(counts=(0, HUGE)), ["n_kv", "at byte 16", "0..65,536"]),
    "n_kv past the end": (file(counts=(0, 9)), ["the length of key 0 is 0 at byte 24", "1..1,024"]),
    "key too long": (file([text(b"k", 5000)]), ["the length of key 0 is 5,000 at byte 24"]),
    "key past the end": (file([text(b"k", 999)]), ["key 0 is 999 bytes at byte 32"]),
    "key no UTF-8": (file([number(b"a\xff", 1)]), ["a byte of key 0 is 0xff at byte 33", "UTF-8"]),
    "key twice": (file([number(b"k", 1)] * 2), ["key 1 is 'k' at byte 41"]),
    "value's type": (file([key(b"k", 13, b"")]), ["the type of k is 13 at byte 33", "0..12"]),
    "text too long": (file([key(b"k", 8, text(b"", HUGE))]), ["the length of k", "at byte 37"]),
    "text no UTF-8": (file([key(b"k", 8, text(b"\xc3("))]), ["a byte of k is 0xc3 at byte 45"]),
    "array too long": (
        file([key(b"k", 9, ARRAY)]),
        ["the length of the array k", "1,099,511,627,776 at byte 41", "2,097,152"],
    ),
    "array past the end": (
        file([key(b"k", 9, struct.pack("<IQ", 4, 1000))]),
        ["k is 4,000 bytes at byte 49"],
    ),
    "array of arrays": (
        file([key(b"k", 9, struct.pack("<IQ", 9, 1))]),
        ["the type in the array k is array at byte 37"],
    ),
    "text in an array past the end": (
        file([key(b"k", 9, struct.pack("<IQ", 8, 2) + text(b"a") + text(b"b", HUGE))]),
        ["a text in k", "at byte 58"],
    ),
    "text in an array no UTF-8": (
        file([key(b"k", 9, struct.pack("<IQ", 8, 2) + text(b"a") + text(b"\xff"))]),
        ["a byte of k is 0xff at byte 66"],
    ),
    "no dimensions": (file(tensors=[tensor(b"t", [])]), ["n_dims of t is 0 at byte 33", "1..4"]),
    "five dimensions": (file(tensors=[tensor(b"t", [1] * 5)]), ["n_dims of t is 5 at byte 33"]),
    "dimension of none": (
        file(tensors=[tensor(b"t", [4, 0])]),
        ["dimension 1 of t is 0 at byte 45"],
    ),
    "dimension too large": (
        file(tensors=[tensor(b"t", [HUGE])]),
        ["dimension 0 of t", "at byte 37", "1..1,099,511,627,776"],
    ),
    "overflow": (
        file(tensors=[tensor(b"t", [1 << 40] * 4)]),
        ["the size of t", "at byte", "the file ends"],
    ),
    "half a block": (
        file(tensors=[tensor(b"t", [33], kind=8)]),
        ["dimension 0 of t is 33 at byte 37", "multiples of 32 for Q8_0"],
    ),
    "type not read": (
        file(tensors=[tensor(b"t", [256], kind=16)]),
        ["the type of t is IQ2_XXS (16) at byte 45", "F32, F16, Q4_0", "Q6_K"],
    ),
    "type unknown": (file(tensors=[tensor(b"t", [4], kind=99)]), ["is unknown (99) at byte 45"]),
    "offset past the end": (
        file(tensors=[tensor(b"t", [4], offset=64)], data=bytes(64)),
        ["the offset of t is 64 at byte 64", "multiples of 32 in 0..48"],
    ),
    "offset overflows": (
        file(tensors=[tensor(b"t", [4], offset=2 * HUGE - 32)], data=bytes(64)),
        ["the offset of t", "at byte 64"],
    ),
    "offset between": (
        file(tensors=[tensor(b"t", [4], offset=7)], data=bytes(64)),
        ["the offset of t is 7", "multiples of 32"],
    ),
    "overlap": (
        file(tensors=[tensor(b"t", [16]), tensor(b"u", [4], offset=32)], data=bytes(64)),
        ["the offset of u is inside t at byte 128", "64 or more"],
    ),
    "name twice": (
        file(tensors=[tensor(b"t", [4]), tensor(b"t", [4], offset=32)], data=bytes(64)),
        ["tensor 1 is 't' at byte 57"],
    ),
    "name too long": (file(tensors=[tensor(b"t" * 2000, [4])]), ["tensor 0 is 2,000 at byte 24"]),
    "alignment": (
        file([number(b"general.alignment", 24)]),
        ["general.alignment is 24", "powers of two"],
    ),
    "no alignment": (file([number(b"general.alignment", 0)]), ["general.alignment is 0"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_header_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    content, words = BAD[name]
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_gguf(path)
    assert caught.value.code == 3
    assert str(path) in caught.value.message
    for word in words:
        assert word in caught.value.message


@pytest.fixture(scope="module")
def whole(tiny_tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "whole.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 2)
    writer.add_float64("a.double", 0.1)
    writer.add_bool("a.truth", True)
    writer.add_int8("a.small", -3)
    writer.add_uint64("a.large", (1 << 64) - 1)
    writer.add_array("an.array", [1.5, -2.0])
    writer.add_string("a.text", "Straße 🧵")
    add_tokenizer(writer, tiny_tokenizer)
    for index in range(3):
        writer.add_tensor(f"blk.{index}.t.weight", np.full((3, 5), index, np.float32))
    close(writer)
    return path


def test_what_is_written_is_read(whole: Path) -> None:
    ours, theirs = read_gguf(whole), GGUFReader(whole)
    expected = {
        name: field.contents()
        for name, field in theirs.fields.items()
        if not name.startswith("GGUF.")
    }
    assert ours.metadata == expected
    assert expected["a.text"] == "Straße 🧵" and len(expected) > 12
    for written in theirs.tensors:
        stored = ours.tensors[written.name]
        assert stored.offset == written.data_offset
        assert (stored.shape, stored.dtype, stored.num_bytes) == ((3, 5), "F32", 60)
        assert np.array_equal(ours.values(stored), written.data)


def read_or_refuse(content: bytes) -> bool:
    """Whether it was read: nothing but an answer may come of it."""
    with contextlib.suppress(InputError):
        found = parse_gguf(Path("damaged.gguf"), np.frombuffer(content, np.uint8))
        for stored in found.tensors.values():
            assert found.packed(stored).size == stored.num_bytes <= len(content)
        return True
    return False


@given(st.randoms(use_true_random=True))
@settings(max_examples=1000)
def test_a_damaged_file_is_read_or_refused(whole: Path, random: Random) -> None:
    read_or_refuse(damaged(whole.read_bytes(), NEAR, random))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@given(st.randoms(use_true_random=True))
@settings(max_examples=1000)
def test_a_million_damaged_files_are_read_or_refused(whole: Path, random: Random) -> None:
    content, before = whole.read_bytes(), peak_megabytes()
    read = sum(read_or_refuse(damaged(content, NEAR, random)) for _ in range(1000))
    assert 0 < read < 1000, "some harms do none, and some do"
    assert peak_megabytes() < before + 64


READ_WITHIN = """
import re, sys
from pathlib import Path
from tissu_core.checkpoint.gguf.header import parse_gguf, read_gguf
from tissu_core.errors import InputError
try:
    read_gguf(Path(sys.argv[1]))
    print("read")
except InputError as error:
    print("refused", error.message)
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""
TEXTS = struct.pack("<IQ", 8, 1 << 21)
BYTES = struct.pack("<IQ", 0, 1 << 20)
COSTLY = {
    "many texts": (file([key(b"k", 9, TEXTS + bytes(8 << 21))], counts=(0, 1)), "read"),
    "many arrays": (
        file(
            [key(b"k%d" % i, 9, struct.pack("<IQ", 0, 1 << 20) + bytes(1 << 20)) for i in range(9)]
        ),
        "refused",
    ),
    "a text of wide letters": (
        file([key(b"k%d" % i, 8, text("🧵".encode() * (1 << 18))) for i in range(30)]),
        "read",
    ),
    "many keys": (file([number(b"%d" % i, i) for i in range(70_000)]), "refused"),
    "long metadata": (
        file([key(b"%d" % i, 8, text(bytes(1 << 20))) for i in range(80)]),
        "refused",
    ),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux counts")
@pytest.mark.parametrize("name", COSTLY)
def test_no_header_takes_more_than_256_mb(name: str, tmp_path: Path) -> None:
    content, expected = COSTLY[name]
    path = tmp_path / "costly.gguf"
    path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", READ_WITHIN, path], capture_output=True, text=True, check=True
    )
    verdict, megabytes = done.stdout.splitlines()
    assert verdict.split()[0] == expected
    assert int(megabytes) < 256
