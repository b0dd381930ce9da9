"""``tissu eval speed`` through the real command."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Trained
from tissu_core.evals import speed
from tissu_core.models.decoder import Decoder

Copy = Callable[[], Trained]


@pytest.fixture
def trained(trained_copy: Copy) -> Trained:
    return trained_copy()


def test_what_is_measured_can_be_held_against_later(trained: Trained, tmp_path: Path) -> None:
    asked = ["--batch", "1", "--batch", "3", "--context", "20", "--tokens", "4"]
    measured = trained.tissu("eval", "speed", "cloth", *asked, "--json")
    assert measured.code == 0, measured.err
    found = measured.json
    assert [(p["batch"], p["context"]) for p in found["points"]] == [(1, 20), (3, 20)]
    for point in found["points"]:
        joules = point.pop("joules_per_token")  # which few machines tell
        assert joules is None or joules > 0
        assert point.pop("price_per_million_tokens") is None
        assert all(value > 0 for value in point.values())
        assert point["step_p50_seconds"] <= point["step_p99_seconds"]
    assert found["weight_bytes"] > 0 and found["peak_bytes"] > found["weight_bytes"]

    def against(factor: float) -> tuple[int, bool]:
        for point in found["points"]:
            point["decode_tokens_per_second"] *= factor
            point["prefill_tokens_per_second"] *= factor
        path = tmp_path / "before.json"
        path.write_text(json.dumps(found))
        held = trained.tissu("eval", "speed", "cloth", *asked, "--against", path)
        return held.code, "% less than" in held.err

    assert against(1e-3) == (0, False)
    assert against(1e6) == (1, True)


def test_what_cannot_be_measured(trained: Trained, tmp_path: Path) -> None:
    long = trained.tissu("eval", "speed", "cloth", "--context", "100000")
    assert (long.code, "--context" in long.err) == (2, True)
    path = tmp_path / "other.json"
    path.write_text("{}")
    other = trained.tissu("eval", "speed", "cloth", "--against", path)
    assert (other.code, "no measurement" in other.err) == (3, True)
    for path in (tmp_path / "none.json", tmp_path):
        absent = trained.tissu("eval", "speed", "cloth", "--against", path)
        assert (absent.code, "cannot read" in absent.err) == (3, True)


def test_what_was_measured_stays_where_memory_does_not_suffice(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = speed.measure_speed

    def limited(model: Decoder, batch: int, context: int, new_tokens: int) -> speed.Speed:
        if batch * context > 30:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
        return measure(model, batch, context, new_tokens)

    monkeypatch.setattr(speed, "measure_speed", limited)
    asked = ["eval", "speed", "cloth", "--batch", "1", "--batch", "9", "--context", "20"]
    found = trained.tissu(*asked, "--tokens", "4", "--json")
    assert [(p["batch"], p["context"]) for p in found.json["points"]] == [(1, 20)]
    assert "not enough memory for 9 x 20 tokens: 1 of 2 pairs are not measured" in found.err
    only = [*asked[:3], "--batch", "9", "--context", "20", "--tokens", "4"]
    none = trained.tissu(*only)
    assert (none.code, "not enough memory" in none.error[0]) == (4, True)
    assert "--batch" in none.error[2]


def test_a_price_an_hour_is_a_price_of_a_million_tokens(trained: Trained) -> None:
    asked = ["--batch", "2", "--context", "8", "--tokens", "4", "--price-per-hour", "7.2"]
    (point,) = trained.tissu("eval", "speed", "cloth", *asked, "--json").json["points"]
    an_hour = 3600 * point["decode_tokens_per_second"]
    assert point["price_per_million_tokens"] == pytest.approx(7.2 / an_hour * 1e6)
    drawn = trained.tissu("eval", "speed", "cloth", *asked).out
    assert "price/M" in drawn and "p99 ms" in drawn


def test_ways_to_compute_are_timed(trained: Trained) -> None:
    found = trained.tissu("eval", "speed", "cloth", "--ops", "gelu", "--ops", "norm", "--json").json
    assert [*dict.fromkeys(way["operation"] for way in found["ways"])] == ["gelu", "norm"]
    tables = [way for way in found["ways"] if way["way"].startswith("table")]
    assert [way["way"] for way in tables] == ["table of 4,096", "table of 8,192"]
    assert 0 < tables[0]["largest_error"] < 1e-5
    drawn = trained.tissu("eval", "speed", "cloth", "--ops", "norm").out
    assert "* tissu's module" in drawn and "1.00" in drawn
    wrong = trained.tissu("eval", "speed", "cloth", "--ops", "gleu")
    assert (wrong.code, "gelu" in wrong.error[2]) == (2, True)


def test_a_text_is_read_with_the_activation_from_a_table(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the warp runs along the loom\n" * 40)
    asked = ["eval", "speed", "cloth", "--ops", "silu", "--data", str(tmp_path / "text.txt")]
    plain = trained.tissu("eval", "ppl", str(tmp_path / "text.txt"), "-m", "cloth", "--json").json
    rough, fine = (
        trained.tissu(*asked, "--lut-size", size, "--json").json for size in ("16", "4096")
    )
    computed = rough["table"]["computed_bits_per_byte"]
    assert computed == pytest.approx(plain["bits_per_byte"], abs=1e-6)
    off = [abs(found["table"]["bits_per_byte"] - computed) for found in (rough, fine)]
    assert off[0] > 100 * off[1] and off[1] < 1e-4
    assert "from a table of 4,096" in trained.tissu(*asked).out
    alone = trained.tissu(*asked[:3], *asked[5:])
    assert (alone.code, "--ops" in alone.error[2]) == (2, True)
    small = tmp_path / "small"
    assert trained.tissu("quantize", "cloth", "-o", small, "--bits", "8").code == 0
    packed = trained.tissu("eval", "speed", small, *asked[3:], "--json").json["table"]
    assert 0 < abs(packed["bits_per_byte"] - packed["computed_bits_per_byte"]) < 1e-4
