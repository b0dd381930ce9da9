"""The compiled library, which several parity tests compare with torch."""

import ctypes
from collections.abc import Iterator

import pytest
import torch

from tissu_core.native.library import compile_library, find_library


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    directory = tmp_path_factory.mktemp("native")
    assert find_library(directory) is None
    made = compile_library(directory)
    assert made is not None
    assert find_library(directory) is not None
    return made


@pytest.fixture
def several_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)
