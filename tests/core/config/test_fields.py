from dataclasses import dataclass, fields

import pytest

from tissu_core.config.data import DataConfig
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.fields import default_of, describe, iter_settings, setting, without_none
from tissu_core.config.machine import MachineConfig
from tissu_core.config.optimizer import OptimizerConfig, parse_warmup
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import ModelShape
from tissu_core.config.training import TrainingConfig
from tissu_core.errors import ConfigError

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("kind", "field", "value", "allowed"),
    [
        (DecodingConfig, "temperature", -0.1, "use 0 or more"),
        (DecodingConfig, "temperature", 101, "use 100 or less"),
        (DecodingConfig, "top_p", 0, "use more than 0"),
        (DecodingConfig, "max_tokens", 0, "use 1 or more"),
        (DataConfig, "validation_fraction", 0.6, "use 0.5 or less"),
        (ModelShape, "preset", "huge", "nano"),
        (ModelShape, "context_tokens", 7, "use 8 or more"),
        (MachineConfig, "device", "tpu", "cuda"),
        (OptimizerConfig, "name", "sgdd", "muon, adamw"),
        (OptimizerConfig, "clip_norm", -1, "use 0 or more"),
        (TrainingConfig, "keep", 1, "use 2 or more"),
        (TrainingConfig, "epochs", 0, "use more than 0"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(
    kind: type, field: str, value: object, allowed: str
) -> None:
    with pytest.raises(ConfigError, match=str(value)) as caught:
        kind(**{field: value})
    assert caught.value.field == field
    assert allowed in caught.value.hint
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (DecodingConfig, "temperature"),
        (DecodingConfig, "top_p"),
        (OptimizerConfig, "clip_norm"),
        (OptimizerConfig, "learning_rate"),
        (TrainingConfig, "minutes"),
        (TrainingConfig, "epochs"),
    ],
)
def test_what_is_no_number_is_refused(kind: type, field: str) -> None:
    with pytest.raises(ConfigError):
        kind(**{field: NAN})


@pytest.mark.parametrize("field", ["minutes", "epochs"])
def test_an_endless_run_is_refused(field: str) -> None:
    with pytest.raises(ConfigError):
        TrainingConfig(**{field: INF})


def test_every_setting_has_a_help_text_and_a_default_within_its_own_range() -> None:
    TrainRun(), DecodingConfig()
    for kind in (TrainRun, DecodingConfig):
        for path, spec, hint in iter_settings(kind):
            assert describe(spec).help, path
            assert default_of(spec) is None or isinstance(default_of(spec), hint_type(hint)), path


def hint_type(hint: object) -> type | tuple[type, ...]:
    return {int: int, float: (int, float), bool: bool, str: str}.get(hint, tuple)  # type: ignore[call-overload]


def test_settings_are_listed_by_dotted_path_with_their_type() -> None:
    found = {path: hint for path, _, hint in iter_settings(TrainRun)}
    assert found["training.steps"] is int
    assert found["optimizer.learning_rate"] is float
    assert found["data.corpus"] == tuple[str, ...]
    assert found["name"] is str
    assert "training" not in found


def test_no_two_settings_have_the_same_flag() -> None:
    for kind in (TrainRun, DecodingConfig):
        flags = [describe(spec).flag for _, spec, _ in iter_settings(kind)]
        named = [flag for flag in flags if flag]
        assert len(named) == len(set(named))


def test_two_lengths_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="--steps and --minutes"):
        TrainingConfig(steps=5, minutes=2.0)
    with pytest.raises(ConfigError, match="--tokens and --epochs"):
        TrainingConfig(tokens=5, epochs=2.0)


@pytest.mark.parametrize(
    ("text", "expected"), [("2%", (0, 0.02)), ("0%", (0, 0.0)), ("200", (200, 0.0))]
)
def test_warmup_is_steps_or_a_share(text: str, expected: tuple[int, float]) -> None:
    assert parse_warmup(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "%", "100%", "-1", "-1%", "2.5", "many", "nan%", "inf%"])
def test_other_warmups_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--warmup"):
        OptimizerConfig(warmup=text)


def test_none_is_taken_from_a_type() -> None:
    assert without_none(int | None) is int
    assert without_none(str) is str


def test_a_field_without_range_takes_anything() -> None:
    @dataclass(frozen=True)
    class Free:
        number: float = setting(1.0, "a number")

    assert describe(fields(Free)[0]).minimum is None
    assert default_of(fields(Free)[0]) == 1.0
