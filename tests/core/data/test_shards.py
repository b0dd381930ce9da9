from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tissu_core.data.shards import ShardWriter, Spans, TokenShards
from tissu_core.errors import IntegrityError
from tissu_core.storage import sealed_directory, write_json


def write_shards(path: Path, lengths: list[int], vocab_size: int = 320) -> TokenShards:
    """Documents whose tokens count up, so that each token says where it is from."""
    facts: dict[str, object] = {}
    with sealed_directory(path, facts) as directory:
        writer = ShardWriter(directory, vocab_size)
        for number, length in enumerate(lengths):
            writer.append([0, *range(1, length)], number)
        writer.close()
        facts["dtype"] = writer.dtype.name
    return TokenShards(path)


def places(spans: Spans) -> list[int]:
    return [
        place
        for start, length in zip(spans.starts, spans.lengths, strict=True)
        for place in range(start, start + length)
    ]


def test_tokens_and_documents_read_back(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "s", [3, 1, 4])
    assert shards.tokens.tolist() == [0, 1, 2, 0, 0, 1, 2, 3]
    assert shards.documents.starts.tolist() == [0, 3, 4]
    assert shards.documents.lengths.tolist() == [3, 1, 4]
    assert shards.documents.num_tokens == 8


def test_documents_know_their_files(tmp_path: Path) -> None:
    facts: dict[str, object] = {"dtype": "uint16"}
    with sealed_directory(tmp_path / "s", facts) as directory:
        writer = ShardWriter(directory, 320)
        for length, source in ((3, 0), (2, 0), (4, 1), (5, 2)):
            writer.append([0] * length, source)
        writer.close()
        write_json(directory / "sources.json", {"paths": ["a.txt", "b.txt", "c.txt"]})
    shards = TokenShards(tmp_path / "s")
    assert shards.paths_of(np.array([0, 3])) == ["a.txt"]
    assert shards.paths_of(np.array([3, 9])) == ["a.txt", "c.txt"]


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, "uint16"), (65_537, "uint32")])
def test_the_largest_id_fits(tmp_path: Path, vocab_size: int, dtype: str) -> None:
    facts: dict[str, object] = {}
    with sealed_directory(tmp_path / "s", facts) as directory:
        writer = ShardWriter(directory, vocab_size)
        writer.append([0, vocab_size - 1], 0)
        writer.close()
        facts["dtype"] = writer.dtype.name
    assert facts["dtype"] == dtype
    assert TokenShards(tmp_path / "s").tokens.tolist() == [0, vocab_size - 1]


@pytest.mark.parametrize("name", ["tokens.bin", "documents.bin"])
@pytest.mark.parametrize("change", ["cut", "grown", "gone"])
def test_a_truncated_shard_is_refused(tmp_path: Path, name: str, change: str) -> None:
    write_shards(tmp_path / "s", [3, 4])
    path = tmp_path / "s" / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] if change == "cut" else data + b"\0")
    if change == "gone":
        path.unlink()
    with pytest.raises(IntegrityError, match=name) as caught:
        TokenShards(tmp_path / "s")
    assert str(tmp_path / "s") in caught.value.hint


def test_an_unfinished_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        TokenShards(tmp_path)


@given(
    lengths=st.lists(st.integers(2, 400), min_size=1, max_size=30),
    fraction=st.sampled_from([0.001, 0.05, 0.2, 0.5]),
)
def test_training_and_validation_share_no_token_and_lose_none(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], fraction: float
) -> None:
    shards = write_shards(tmp_path_factory.mktemp("s") / "s", lengths)
    train, validation = shards.split(fraction)
    assert sorted(places(train) + places(validation)) == list(range(sum(lengths)))
    assert validation.num_tokens >= 1
    assert train.num_tokens >= 1
    assert validation.num_tokens <= max(1.25 * fraction * sum(lengths) + 1, 2)


def test_validation_is_whole_documents_when_they_fit(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "s", [50] * 100)
    train, validation = shards.split(0.1)
    assert validation.lengths.tolist() == [50] * 10
    assert set(validation.starts.tolist()) <= set(shards.documents.starts.tolist())
    assert len(train.starts) == 90


def test_validation_is_the_tail_of_a_single_document(tmp_path: Path) -> None:
    train, validation = write_shards(tmp_path / "s", [1000]).split(0.1)
    assert places(train) == list(range(900))
    assert places(validation) == list(range(900, 1000))


def test_validation_is_the_tail_of_the_longest_when_no_document_fits(tmp_path: Path) -> None:
    train, validation = write_shards(tmp_path / "s", [400, 1000, 600]).split(0.05)
    assert places(validation) == list(range(1300, 1400))
    assert train.num_tokens == 1900


def test_the_division_is_the_same_each_time(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "s", list(range(20, 60)))
    first, again = shards.split(0.1)[1], shards.split(0.1)[1]
    assert np.array_equal(first.starts, again.starts)
