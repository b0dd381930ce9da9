"""Where a model's bytes go, through the real command."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import Tissu, Trained
from tissu_core.checkpoint.model_directory import load_model
from tissu_core.checkpoint.training_state import read_training_state
from tissu_core.models.count import kv_cache_bytes, train_bytes

MEMORY = ["inspect", "memory"]


def held(path: Path) -> int:
    model = load_model(path, torch.device("cpu")).model
    return sum(t.nbytes for t in [*model.parameters(), *model.buffers()])


def test_weights_and_moments_are_what_is_there(trained_once: Trained) -> None:
    found = trained_once.tissu(*MEMORY, "cloth", "--json").json
    model = trained_once.run / "model"
    assert sum(part["loaded_bytes"] for part in found["weights"]) == held(model)
    assert sum(part["num_bytes"] for part in found["weights"]) == 4 * found["num_parameters"]
    parts = {part["part"] for part in found["weights"]}
    assert parts == {"embedding", "attention", "feed-forward", "norms", "head"}
    checkpoint = max((trained_once.run / "checkpoints").glob("step-*"))
    _, moments = read_training_state(checkpoint)
    assert dict(found["optimizer_bytes"])["muon"] == sum(t.nbytes for t in moments.values())
    assert dict(found["optimizer_bytes"])["adamw"] == pytest.approx(
        8 * found["num_parameters"], rel=1e-2
    )


def test_the_estimates_are_those_of_training_and_decoding(trained_once: Trained) -> None:
    asked = ["--batch", "6", "--context", "48"]
    found = trained_once.tissu(*MEMORY, "cloth", *asked, "--json").json
    config = load_model(trained_once.run / "model", torch.device("cpu")).model
    config.set_context(48)
    is_fp32 = found["precision"] == "fp32"
    for training in found["training"]:
        expected = train_bytes(config.config, 6, training["recompute"], is_fp32=is_fp32)
        assert training["num_bytes"] == pytest.approx(expected, abs=4)
        assert sum(size for _, size in training["parts"]) == training["num_bytes"]
        assert training["is_fitting"]
    assert found["cache_bytes"] == 6 * kv_cache_bytes(config.config)
    cache = config.new_cache()
    with torch.no_grad():
        config(torch.zeros(6, 48, dtype=torch.long), cache)
    tensors = [t for layer in cache.layers for t in (layer._keys, layer._values) if t is not None]
    assert found["cache_bytes"] == sum(t.nbytes for t in tensors)


def test_what_does_not_fit_is_told(trained_once: Trained) -> None:
    shown = trained_once.tissu(*MEMORY, "cloth", "--batch", "900000")
    assert shown.code == 0 and "does not fit" in shown.out
    small = trained_once.tissu(*MEMORY, "cloth")
    assert "does not fit" not in small.out and "fits" in small.out and "█" in small.out
    assert max(map(len, small.out.splitlines())) <= 100


def test_a_packed_model_stays_packed(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    assert copy.tissu("quantize", "cloth", "--bits", "8", "-o", copy.run.parent / "p").code == 0
    found = copy.tissu(*MEMORY, copy.run.parent / "p", "--json").json
    assert {part["dtype"] for part in found["weights"]} >= {"I8"}
    loaded = sum(part["loaded_bytes"] for part in found["weights"])
    assert loaded == pytest.approx(held(copy.run.parent / "p"), rel=1e-3)


def test_bad_input_is_answered(tissu: Tissu, trained_once: Trained) -> None:
    assert tissu(*MEMORY, "nowhere").code == 3
    assert trained_once.tissu(*MEMORY, "cloth", "--batch", "0").code == 2
