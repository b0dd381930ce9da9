"""Windows of a text, on which weights are rounded and models are looked at."""

import json
import tracemalloc
from pathlib import Path

import pytest
from torch import Tensor

from tissu_core.checkpoint.model_directory import LoadedModel
from tissu_core.config.data import DataConfig
from tissu_core.models.decoder import Decoder
from tissu_core.runs.models.calibration import Spread, read_windows
from tissu_core.text.tokenizer import Tokenizer

WINDOW, WINDOWS = 16, 8


@pytest.fixture
def loaded(tiny_model: Decoder, tiny_tokenizer: Tokenizer) -> LoadedModel:
    return LoadedModel(tiny_model, tiny_tokenizer, Path("tiny"), frozenset())


def write(path: Path, documents: int) -> DataConfig:
    """Documents that name themselves in every window."""
    texts = ("".join(f"<{number:05}>" for _ in range(40)) for number in range(documents))
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    return DataConfig(corpus=(str(path),))


def read(
    loaded: LoadedModel, data: DataConfig, fewest: int | None = None
) -> tuple[list[Tensor], int]:
    reading = read_windows(loaded, data, WINDOW, WINDOWS, fewest=fewest)
    while True:
        try:
            next(reading)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def test_windows_are_spread_evenly_over_a_text(loaded: LoadedModel, tmp_path: Path) -> None:
    rows, num_found = read(loaded, write(tmp_path / "a.jsonl", 500))
    assert [tuple(row.shape) for row in rows] == [(1, WINDOW)] * WINDOWS
    assert num_found > 500 * 10 * WINDOW
    texts = [loaded.tokenizer.decode(row[0].tolist()) for row in rows]
    numbers = [int(text.split("<")[-2][:5]) for text in texts]
    assert numbers == sorted(numbers) and numbers[0] == 0
    gaps = [after - before for before, after in zip(numbers, [*numbers[1:], 500], strict=True)]
    assert min(gaps) >= 500 / WINDOWS / 2 and max(gaps) <= 500 / WINDOWS * 2


def test_short_documents_are_read_too_where_few_tokens_do(
    loaded: LoadedModel, tmp_path: Path
) -> None:
    short = tmp_path / "short.jsonl"
    short.write_text("".join(f'{{"text": "{i:03}"}}\n' for i in range(900)), "utf-8")
    data = DataConfig(corpus=(str(short),))
    assert read(loaded, data) == ([], 0)
    rows, num_found = read(loaded, data, fewest=2)
    assert all(2 <= row.shape[1] < WINDOW for row in rows) and num_found >= 1800
    assert WINDOW * WINDOWS / 2 < sum(row.numel() for row in rows) <= WINDOW * WINDOWS
    few = write(tmp_path / "few.jsonl", 1)
    rows, num_found = read(loaded, few, fewest=2)
    assert sum(row.numel() for row in rows) <= WINDOW * WINDOWS


def test_a_long_text_takes_no_more_memory_than_a_short_one(
    loaded: LoadedModel, tmp_path: Path
) -> None:
    peaks = []
    for files in (1, 2, 20):  # the first fills what the tokenizer keeps
        folder = tmp_path / f"{files}"
        folder.mkdir()
        for number in range(files):
            write(folder / f"{number:02}.jsonl", 200 + number)
        tracemalloc.start()
        read(loaded, DataConfig(corpus=(str(folder),)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1], peaks


@pytest.mark.parametrize("count", [0, 1, 4, 5, 8, 9, 1000])
def test_a_spread_gives_what_is_wanted_or_all_there_is(count: int) -> None:
    spread = Spread(4 * 3)
    for number in range(count):
        spread.add([number] * 3)
    chosen = [window[0] for window in spread.chosen()]
    assert len(chosen) == min(count, 4) and spread.num_found == 3 * count
    assert chosen == sorted(set(chosen)) and chosen[:1] == [0][:count]
    if count >= 8:
        assert chosen[-1] >= count / 2
