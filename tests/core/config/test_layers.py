import os
from pathlib import Path

import pytest

from tissu_core.config.layers import (
    assignments_layer,
    build,
    environment_layer,
    file_layer,
    find_project_file,
    layer_from,
    only_known_to,
    project_files,
    stack,
)
from tissu_core.config.runs import TrainRun
from tissu_core.config.use import UseRun
from tissu_core.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_each_layer_wins_over_those_below_and_says_where_it_came_from(tmp_path: Path) -> None:
    user = write(tmp_path / "user.toml", "[training]\nseed = 1\nkeep = 3\npatience = 4\n")
    project = write(tmp_path / "tissu.toml", "\n[training]\nseed = 2\nkeep = 5\n")
    settings = stack(
        [
            file_layer(user),
            file_layer(project),
            environment_layer({"TISSU_TRAINING__SEED": "3", "PATH": "/bin", "TISSU_HOME": "/x"}),
            assignments_layer(["optimizer.warmup=3%"]),
        ]
    )
    assert {path: entry.where for path, entry in settings.items()} == {
        "training.seed": "TISSU_TRAINING__SEED",
        "training.keep": f"{project}:4",
        "training.patience": f"{user}:4",
        "optimizer.warmup": "--set",
    }
    run = build(TrainRun, settings)
    assert (run.training.seed, run.training.keep, run.training.patience) == (3, 5, 4)


@pytest.mark.parametrize(
    ("lower", "higher", "left"),
    [
        ("training.minutes", "training.steps", {"training.steps"}),
        ("training.steps", "training.epochs", {"training.epochs"}),
        ("model.hidden_size", "model.depth", {"model.depth"}),
        ("model.depth", "model.preset", {"model.preset"}),
        ("model.hidden_size", "model.vocab_size", {"model.hidden_size", "model.vocab_size"}),
    ],
)
def test_a_length_or_size_said_again_replaces_the_one_said_before(
    lower: str, higher: str, left: set[str]
) -> None:
    assert set(stack([layer_from({lower: 1}, "a"), layer_from({higher: 2}, "b")])) == left


def test_two_lengths_in_one_place_are_refused() -> None:
    both = layer_from({"training.steps": 5, "training.epochs": 1}, "tissu.toml")
    with pytest.raises(ConfigError, match="both say how long"):
        build(TrainRun, stack([both]))


@pytest.mark.parametrize(
    ("text", "where", "message", "hint"),
    [
        ("[trainig]\nsteps = 5\n", ":1", "'trainig'", "training"),
        ("[training]\n\nstpes = 5\n", ":3", "'training.stpes'", "training.steps"),
        ("training.stpes = 5\n", ":1", "'training.stpes'", "training.steps"),
        ("training = 5\n", ":1", "training is 5", "[training]"),
        ("[decoding]\ntop = 5\n", ":2", "'decoding.top'", "decoding.top_k"),
        ("[training\n", "", "is not TOML", ""),
    ],
)
def test_what_a_file_misspells_is_named_with_its_line(
    tmp_path: Path, text: str, where: str, message: str, hint: str
) -> None:
    path = write(tmp_path / "tissu.toml", text)
    with pytest.raises(ConfigError) as caught:
        file_layer(path)
    assert f"{path}{where}" in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("value", "message"),
    [("many", "takes a whole number"), ("0", "--steps is 0"), ("1.5", "takes a whole number")],
)
def test_a_bad_value_names_the_variable_or_the_line(
    tmp_path: Path, value: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build(TrainRun, environment_layer({"TISSU_TRAINING__STEPS": value}))
    assert caught.value.message.startswith("TISSU_TRAINING__STEPS: ")
    path = write(tmp_path / "tissu.toml", f"[training]\nsteps = '{value}'\n")
    with pytest.raises(ConfigError, match=message) as caught:
        build(TrainRun, file_layer(path))
    assert caught.value.message.startswith(f"{path}:2: ")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("TISSU_TRAINING_STEPS", "TISSU_TRAINING__STEPS"),
        ("TISSU_TRAINING__STPES", "TISSU_TRAINING__STEPS"),
        ("TISSU_HOMES", "TISSU_HOME"),
    ],
)
def test_a_misspelt_variable_is_never_ignored(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        environment_layer({name: "5"})
    assert near in caught.value.hint


def test_variables_are_read_as_toml_else_as_text() -> None:
    layer = environment_layer(
        {
            "TISSU_DATA__CORPUS": '["a", "b"]',
            "TISSU_DATA__ONLY": ".py",
            "TISSU_DECODING__GREEDY": "true",
            "TISSU_TRAINING__TOKENS": "5M",
            "TISSU_OPTIMIZER__WARMUP": "",
        }
    )
    run = build(TrainRun, only_known_to(TrainRun, layer))
    assert run.data.corpus == ("a", "b")
    assert (run.data.only, run.training.tokens) == ((".py",), 5_000_000)
    assert run.optimizer.warmup == TrainRun().optimizer.warmup
    assert build(UseRun, only_known_to(UseRun, layer)).decoding.greedy


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    path = write(tmp_path / "p" / "tissu.toml", "out='r'\n[data]\ncorpus=['a', '/b', '~/c']\n")
    run = build(TrainRun, file_layer(path))
    assert run.out == str(path.parent / "r")
    assert run.data.corpus == (str(path.parent / "a"), "/b", str(Path("~/c").expanduser()))
    path.write_bytes(b"\xef\xbb\xbf[data]\ncorpus='a'\n")  # as Windows' editor saves it
    assert build(TrainRun, file_layer(path)).data.corpus == (str(path.parent / "a"),)


def test_a_project_reaches_up_to_its_repository_or_the_home_and_not_beyond(tmp_path: Path) -> None:
    home, deep = tmp_path / "home", tmp_path / "home" / "work" / "repo" / "a"
    deep.mkdir(parents=True)
    write(tmp_path / "tissu.toml", "")  # above the home: somebody else's
    assert find_project_file(deep, home) is None
    assert [path.parent for path in project_files(deep, home)][-1] == home
    below = write(home / "tissu.toml", "")
    assert find_project_file(deep, home) == below
    (home / "work" / "repo" / ".git").mkdir()
    assert find_project_file(deep, home) is None
    here = write(deep / "tissu.toml", "")
    assert find_project_file(deep, home) == here
    outside = tmp_path / "elsewhere" / "b"
    outside.mkdir(parents=True)
    assert list(project_files(outside, home)) == [outside / "tissu.toml"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may search any folder")
def test_a_folder_that_may_not_be_searched_has_no_project(tmp_path: Path) -> None:
    write(tmp_path / "closed" / "tissu.toml", "")
    (tmp_path / "closed").chmod(0)
    try:
        assert find_project_file(tmp_path / "closed", tmp_path) is None
    finally:
        (tmp_path / "closed").chmod(0o700)
