import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tissu_core.config.data import DataConfig
from tissu_core.config.load import (
    build_config,
    cast_value,
    parse_assignment,
    parse_number,
    place,
    read_toml,
    to_table,
    to_toml,
)
from tissu_core.config.runs import TrainRun
from tissu_core.config.shape import ModelShape
from tissu_core.config.training import TrainingConfig
from tissu_core.errors import ConfigError, InputError


def test_a_configuration_round_trips_through_toml() -> None:
    run = TrainRun(
        name="a",
        data=DataConfig(corpus=('C:\\texts "x"', "織物\n"), only=(".py",)),
        training=TrainingConfig(epochs=1.5, seed=7),
        model=ModelShape(dropout=0.1),
    )
    assert build_config(TrainRun, tomllib.loads(to_toml(run))) == run


@given(name=st.text(max_size=20), corpus=st.lists(st.text(max_size=9), max_size=3))
def test_any_text_round_trips_through_toml(name: str, corpus: list[str]) -> None:
    run = TrainRun(name=name, data=DataConfig(corpus=tuple(corpus)))
    assert build_config(TrainRun, tomllib.loads(to_toml(run))) == run


def test_what_is_left_open_is_left_out() -> None:
    assert "steps" not in to_table(TrainRun())["training"]
    assert to_table(TrainRun(training=TrainingConfig(steps=5)))["training"]["steps"] == 5


@pytest.mark.parametrize(
    ("table", "field", "hint"),
    [
        ({"trainin": {}}, "trainin", "did you mean training"),
        ({"training": {"step": 5}}, "training.step", "did you mean training.steps"),
        ({"model": {"num_layers": 5}}, "model.num_layers", "model.num_hidden_layers"),
        ({"xyzzy": 1}, "xyzzy", "known:"),
        ({"training": 5}, "training", "[training]"),
        ({"training": {"steps": "many"}}, "training.steps", ""),
        ({"training": {"steps": 2.5}}, "training.steps", ""),
        ({"training": {"steps": True}}, "training.steps", ""),
        ({"training": {"steps": float("inf")}}, "training.steps", ""),
        ({"training": {"steps": float("nan")}}, "training.steps", ""),
        ({"training": {"minutes": float("inf")}}, "training.minutes", ""),
        ({"training": {"steps": []}}, "training.steps", ""),
        ({"data": {"corpus": 5}}, "data.corpus", ""),
        ({"data": {"corpus": {"a": 1}}}, "data.corpus", ""),
        ({"name": ["a"]}, "name", ""),
        ({"optimizer": {"learning_rate": "fast"}}, "optimizer.learning_rate", ""),
        ({"training": {"keep": 1}}, "keep", "2"),
    ],
)
def test_what_does_not_fit_is_named(table: dict[str, object], field: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_config(TrainRun, table)
    assert caught.value.field == field
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5", 5),
        ("1_000", 1000),
        ("5k", 5e3),
        ("5M", 5e6),
        ("1.5G", 1.5e9),
        ("2b", 2e9),
        (" 7 ", 7),
        ("1e3", 1e3),
        (12, 12),
        ("", None),
        ("k", None),
        ("5kk", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        (float("inf"), None),
        (float("nan"), None),
    ],
)
def test_numbers_take_suffixes(text: str | float, expected: float | None) -> None:
    assert parse_number(text) == expected


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ("5M", int, 5_000_000),
        (5.0, int, 5),
        ("0.5", float, 0.5),
        (3, float, 3.0),
        ("true", bool, True),
        (False, bool, False),
        (42, str, "42"),
        ("one", tuple[str, ...], ("one",)),
        (["1", "2"], tuple[int, ...], (1, 2)),
    ],
)
def test_values_are_cast_to_the_type_of_the_setting(
    value: object, hint: object, expected: object
) -> None:
    found = cast_value("x", value, hint)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.steps=500", ("training.steps", 500)),
        ("name=my run", ("name", "my run")),
        ('name="quoted"', ("name", "quoted")),
        ("data.only=['.py', '.md']", ("data.only", [".py", ".md"])),
        ("training.tokens=5M", ("training.tokens", "5M")),
        ("name=a=b", ("name", "a=b")),
        ("name=", ("name", "")),
    ],
)
def test_assignments_are_read_as_toml_else_as_text(text: str, expected: object) -> None:
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["training.steps", "=5", ""])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not name=value"):
        parse_assignment(text)


def test_values_are_placed_in_nested_tables() -> None:
    table: dict[str, object] = {"training": {"seed": 1}}
    place(table, "training.steps", 5)
    place(table, "data.corpus", ["a"])
    place(table, "name", "x")
    assert table == {"training": {"seed": 1, "steps": 5}, "data": {"corpus": ["a"]}, "name": "x"}
    with pytest.raises(ConfigError, match=r"name\.inner"):
        place(table, "name.inner", 1)


def test_files_are_read_or_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "tissu.toml"
    path.write_text("[training]\nsteps = 5\n")
    assert read_toml(path) == {"training": {"steps": 5}}
    for content in (b"[training\n", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"tissu\.toml"):
            read_toml(path)
    for missing in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InputError, match=missing.name):
            read_toml(missing)
