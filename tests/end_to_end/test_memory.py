"""A run holds no more memory at its end than near its beginning."""

from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Tissu, log_of


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_memory_is_flat_over_a_thousand_steps(tissu: Tissu, corpus: Path, precision: str) -> None:
    """Scoring, sampling and saving among them."""
    every = ["--eval-every", "100", "--save-every", "50", "--set", "training.log_every=20"]
    result = tissu.process(
        *("train", corpus, "--name", "long", "--steps", "1000", "--precision", precision),
        *(*every, *FAST),
    )
    assert result.code == 0, result.err
    steps = [e for e in log_of(tissu.home / "runs/long") if e["event"] == "StepFinished"]
    held = {event["step"]: event["memory_bytes"] for event in steps}
    if not held[200]:
        pytest.skip("the platform does not say what a program holds")
    assert held[1000] < 1.02 * held[200] + 4e6, held
