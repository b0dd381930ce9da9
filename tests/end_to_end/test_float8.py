"""--precision fp8 where it cannot be: what was found, and what to type."""

from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Copy, Tissu, important


def test_a_processor_refuses_it_and_names_bf16(tissu: Tissu, corpus: Path) -> None:
    result = tissu("train", corpus, "--precision", "fp8", "--device", "cpu", *FAST)
    assert result.code == 4, result.err
    assert "--precision is fp8, and this device is a processor" in result.error[0]
    assert "--precision bf16" in result.error[2]
    assert not (tissu.home / "runs").exists()


def test_parts_of_layers_refuse_it(tissu: Tissu, corpus: Path) -> None:
    parts = ["--procs", "2", "--device", "cpu", "--tp", "2"]
    result = tissu("train", corpus, "--precision", "fp8", *parts)
    assert result.code == 2, result.err
    assert "--tp" in result.error[0] and "--shard full" in result.error[2]


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_a_run_that_began_with_it_goes_on_in_bf16(trained_copy: Copy, device: str) -> None:
    """Of what another machine has, its settings file is enough."""
    copy = trained_copy()
    settings = copy.run / "config.toml"
    lines = settings.read_text("utf-8").splitlines()
    began = {"precision = ": 'precision = "fp8"', "device = ": f'device = "{device}"'}
    for start, line in began.items():
        lines = [line if old.startswith(start) else old for old in lines]
    settings.write_text("\n".join(lines) + "\n", "utf-8")
    before = important(copy.run)
    refused = copy.tissu("train", "--resume", "cloth")
    assert refused.code == 4, refused.err
    assert f"cloth trains on {device}" in refused.error[0]
    assert "--resume cloth --override" in refused.error[2]
    assert "--precision bf16" in refused.error[2]
    assert important(copy.run) == before
    command = refused.error[2].partition("tissu ")[2].split()
    assert copy.tissu(*command, "--steps", "42").code == 0
