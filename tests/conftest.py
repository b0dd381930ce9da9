"""Fixtures of all tests: tiny models, a tiny tokenizer, and a home of their own for each test."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.samples import STORY, VOCAB_SIZE, make_config, make_model
from tissu_core.config.model import ModelConfig
from tissu_core.models.decoder import Decoder
from tissu_core.native.library import compile_library
from tissu_core.text.bpe_trainer import learn_bpe
from tissu_core.text.tokenizer import Tokenizer

settings.register_profile("tissu", derandomize=True, deadline=None, max_examples=60, database=None)
settings.load_profile("tissu")
torch.set_num_threads(1)
_NATIVE = Path(tempfile.mkdtemp(prefix="tissu-native-"))
"""Where the step of decoding is compiled once for all tests, whatever their home."""
atexit.register(shutil.rmtree, _NATIVE, ignore_errors=True)
os.environ["TISSU_NATIVE"] = str(_NATIVE)
compile_library(_NATIVE)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("TISSU_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    torch.manual_seed(1337)


@pytest.fixture
def tiny_config() -> ModelConfig:
    return make_config()


@pytest.fixture
def tiny_model(tiny_config: ModelConfig) -> Decoder:
    return make_model(tiny_config)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(learn_bpe([STORY], VOCAB_SIZE))
    assert tokenizer.vocab_size == VOCAB_SIZE
    return tokenizer
