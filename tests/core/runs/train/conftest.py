from pathlib import Path

import pytest

from tests.samples import STORY
from tissu_core.config.data import DataConfig
from tissu_core.data.prepare import prepare
from tissu_core.data.shards import TokenShards


@pytest.fixture
def shards(tmp_path: Path) -> TokenShards:
    corpus = tmp_path / "story.txt"
    corpus.write_text(STORY * 4, encoding="utf-8")
    run = prepare(DataConfig(corpus=(str(corpus),)), 300, tmp_path / "cache", lambda: False)
    while True:
        try:
            next(run)
        except StopIteration as stop:
            return stop.value
