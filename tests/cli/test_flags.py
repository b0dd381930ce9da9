from pathlib import Path

import pytest

from tissu_cli.flags import resolve_settings
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.fields import describe, iter_settings
from tissu_core.config.runs import TrainRun
from tissu_core.config.use import UseRun
from tissu_core.errors import ConfigError


def test_no_two_options_share_a_flag() -> None:
    for kind in (TrainRun, UseRun):
        flags = [describe(spec).flag for _, spec, _ in iter_settings(kind) if describe(spec).flag]
        assert len(flags) == len(set(flags))


def test_flag_wins_over_set_over_file_over_base(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("[training]\nseed = 2\nkeep = 3\n[optimizer]\nwarmup = '5%'\n", "utf-8")
    run = resolve_settings(
        TrainRun,
        {"training.seed": "4"},
        config_file=file,
        assignments=["training.seed=3", "training.keep=4"],
        base={"training.seed": 1, "optimizer.warmup": "9%", "training.patience": 7},
    )
    assert (run.training.seed, run.training.keep) == (4, 4)
    assert (run.optimizer.warmup, run.training.patience) == ("5%", 7)


def test_counts_take_suffixes() -> None:
    run = resolve_settings(TrainRun, {"training.tokens": "2.5M", "training.batch_tokens": "64k"})
    assert (run.training.tokens, run.training.batch_tokens) == (2_500_000, 64_000)


@pytest.mark.parametrize("value", ["many", "1.5", "nan", "inf", "1e999", ""])
def test_what_is_no_whole_number_is_refused_by_flag(value: str) -> None:
    with pytest.raises(ConfigError, match="--max-tokens"):
        resolve_settings(UseRun, {"decoding.max_tokens": value})


def test_several_stop_texts_stay_as_typed() -> None:
    run = resolve_settings(UseRun, {"decoding.stop": ["\n\n", " ;"]})
    assert run.decoding == DecodingConfig(stop=("\n\n", " ;"))


def test_a_length_said_again_replaces_the_one_said_before() -> None:
    base = {"training.minutes": 2.0}
    run = resolve_settings(TrainRun, {"training.steps": "50"}, base=base)
    assert (run.training.steps, run.training.minutes) == (50, None)
    run = resolve_settings(TrainRun, {}, base=base, assignments=["training.epochs=3"])
    assert (run.training.epochs, run.training.minutes) == (3, None)
    with pytest.raises(ConfigError, match="both say how long"):
        resolve_settings(TrainRun, {"training.steps": "5", "training.tokens": "9k"}, base=base)
