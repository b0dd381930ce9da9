"""The step in C comes with first use, and writes what torch writes."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Trained
from tissu_core.config.machine import DeviceConfig
from tissu_core.decoding import fastest
from tissu_core.models.packed import packing_of
from tissu_core.native.library import find_compiler
from tissu_core.runs.loading import load_to_decode

ASKED = ("generate", "cloth", "-p", "The weaver", "--greedy", "--max-tokens", "12")
MOST_SECONDS = 120


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
def test_it_is_compiled_while_the_first_reply_is_written(
    trained_copy: Callable[[], Trained], tmp_path: Path
) -> None:
    tissu, folder = trained_copy().tissu, tmp_path / "native"
    first = tissu.process(*ASKED, TISSU_NATIVE=str(folder))
    assert first.code == 0, first.err
    until = time.monotonic() + MOST_SECONDS  # it goes on when the command has ended
    while not [*folder.glob("*.so")]:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert tissu.process(*ASKED, TISSU_NATIVE=str(folder)).out == first.out
    assert tissu.process(*ASKED, TISSU_NATIVE="off").out == first.out


def test_without_a_compiler_torch_decodes(
    trained_copy: Callable[[], Trained], tmp_path: Path
) -> None:
    tissu, folder = trained_copy().tissu, tmp_path / "native"
    found = tissu.process(*ASKED, TISSU_NATIVE=str(folder), CC="no-such-compiler")
    assert found.code == 0, found.err
    assert found.out == tissu.process(*ASKED, TISSU_NATIVE="off").out
    assert not [*folder.glob("*.so")]


def test_without_a_compiler_packed_numbers_are_unpacked_once(
    trained_copy: Callable[[], Trained], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = trained_copy()
    assert trained.tissu("quantize", "cloth", "--bits", "4", "-o", "four").code == 0
    monkeypatch.setenv("TISSU_NATIVE", "off")
    machine = DeviceConfig(device="cpu")
    path = str(trained.tissu.home / "models" / "four")
    assert not packing_of(load_to_decode(path, machine).model)
    monkeypatch.setattr(fastest, "free_bytes", lambda device: 1000)
    assert packing_of(load_to_decode(path, machine).model) == "int4"
