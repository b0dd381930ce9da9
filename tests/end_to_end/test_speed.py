"""``tissu eval speed`` through the real command."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Trained

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
    assert all(value > 0 for point in found["points"] for value in point.values())
    assert found["weight_bytes"] > 0 and found["peak_bytes"] > found["weight_bytes"]

    def against(factor: float) -> int:
        for point in found["points"]:
            point["decode_tokens_per_second"] *= factor
            point["prefill_tokens_per_second"] *= factor
        path = tmp_path / "before.json"
        path.write_text(json.dumps(found))
        return trained.tissu("eval", "speed", "cloth", *asked, "--against", path).code

    assert against(1e-3) == 0
    assert against(1e6) == 1


def test_what_cannot_be_measured(trained: Trained, tmp_path: Path) -> None:
    long = trained.tissu("eval", "speed", "cloth", "--context", "100000")
    assert (long.code, "--context" in long.err) == (2, True)
    path = tmp_path / "other.json"
    path.write_text("{}")
    other = trained.tissu("eval", "speed", "cloth", "--against", path)
    assert (other.code, "no measurement" in other.err) == (3, True)
