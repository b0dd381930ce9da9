import json
from pathlib import Path

import numpy as np

from tissu_core.config.data import DataConfig
from tissu_core.data.batch_sizes import BatchSizes
from tissu_core.data.batches import BatchOrder, Part
from tissu_core.data.places import Place, Places
from tissu_core.data.prepare import prepare
from tissu_core.data.shards import TokenShards
from tissu_core.text.tokenizer import Tokenizer

LINES = [f"line {number} of some text, and more of it\n" for number in range(300)]


def shards_of(folder: Path) -> TokenShards:
    preparing = prepare(
        DataConfig(corpus=(str(folder),)), 300, folder.parent / "cache", lambda: False
    )
    while True:
        try:
            next(preparing)
        except StopIteration as end:
            found: TokenShards = end.value
            return found


def places_of(shards: TokenShards, parts: list[Part]) -> list[Place]:
    found = Places(shards, Tokenizer.load(shards.directory).pieces).find(parts)
    return [found[part] for part in parts]


def middle(shards: TokenShards, document: int) -> Part:
    """The second half of a document."""
    start, length = (int(x[document]) for x in (shards.documents.starts, shards.documents.lengths))
    return Part(start, start + length // 2, length - length // 2)


def test_the_parts_of_a_batch_are_its_windows(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    for number in range(5):
        (tmp_path / "corpus" / f"{number}.txt").write_text("".join(LINES[number * 9 :][:9]))
    shards = shards_of(tmp_path / "corpus")
    train, _ = shards.split(0.05)
    order = BatchOrder(shards.tokens, train, context=50, sizes=BatchSizes(4), seed=1)
    for step in range(6):
        parts = order.parts(step)
        for row, window in zip(parts, order.batch(step), strict=True):
            pieces = [shards.tokens[part.begin : part.begin + part.num_tokens] for part in row]
            assert np.array_equal(np.concatenate(pieces), window)
        read = {part.document for row in parts for part in row}
        assert sorted(read) == order.documents(step).tolist()


def test_a_line_and_a_byte_are_told_of_plain_text(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    file = tmp_path / "corpus" / "a.txt"
    file.write_text("".join(LINES))
    shards = shards_of(tmp_path / "corpus")
    part = middle(shards, 0)
    (place,) = places_of(shards, [part])
    tokenizer, text = Tokenizer.load(shards.directory), file.read_bytes()
    ids = [int(id) for id in shards.tokens[part.begin : part.begin + 20]]
    assert place.byte is not None and place.byte > 1000
    assert text[place.byte :].startswith(b"".join(tokenizer.pieces[id] for id in ids))
    assert place.line == text[: place.byte].count(b"\n") + 1
    file.write_text("changed")
    (changed,) = places_of(shards, [part])
    assert (changed.line, changed.byte) == (place.line, None)
    file.unlink()
    assert places_of(shards, [part])[0].byte is None


def test_a_byte_is_not_told_where_the_tokens_have_other_line_ends(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_bytes("".join(LINES).replace("\n", "\r\n").encode())
    shards = shards_of(tmp_path / "corpus")
    (place,) = places_of(shards, [middle(shards, 0)])
    is_kept = b"\r" in b"".join(
        Tokenizer.load(shards.directory).pieces[int(id)] for id in shards.tokens[:40]
    )
    assert (place.byte is not None) == is_kept
    assert place.line is not None and abs(place.line - 150) < 20


def test_of_other_files_the_number_of_the_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    records = [json.dumps({"text": line * 9}) for line in LINES[:20]]
    (tmp_path / "corpus" / "a.jsonl").write_text("\n".join(records))
    (tmp_path / "corpus" / "b.txt").write_text("".join(LINES))
    shards = shards_of(tmp_path / "corpus")
    first, seventh, last = places_of(shards, [middle(shards, n) for n in (0, 6, 20)])
    assert [place.document for place in (first, seventh, last)] == [1, 7, 1]
    assert (seventh.line, seventh.byte) == (None, None)
    assert last.path.endswith("b.txt") and last.byte is not None
