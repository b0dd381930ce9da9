"""Settings from files, environment and options; a project; what the machine is."""

import json
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.end_to_end.conftest import COMMAND, FAST, Tissu, Trained, environment
from tissu_core.config.load import build_config
from tissu_core.config.runs import TrainRun


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def origins(tissu: Tissu, *arguments: str) -> dict[str, tuple[object, str]]:
    rows = tissu("config", "show", "--json", *arguments).json["settings"]
    return {row["name"]: (row["value"], row["origin"]) for row in rows}


def test_the_nearer_word_wins_and_show_says_whose_it_was(
    tissu: Tissu, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tissu.home.mkdir()
    user, file = tissu.home / "config.toml", project / "tissu.toml"
    user.write_text("[training]\nseed = 1\nkeep = 3\n[decoding]\ntop_k = 7\n", "utf-8")
    file.write_text("[training]\nkeep = 4\nepochs = 2\n", "utf-8")
    monkeypatch.setenv("TISSU_TRAINING__STEPS", "9")
    found = origins(tissu, "--set", "training.seed=5")
    assert found["training.seed"] == (5, "--set")
    assert found["training.steps"] == (9, "TISSU_TRAINING__STEPS")
    assert found["training.epochs"] == (None, "default")
    assert found["training.keep"] == (4, f"{file}:2")
    assert found["decoding.top_k"] == (7, f"{user}:5")
    assert set(origins(tissu, "training")) == {n for n in found if n.startswith("training.")}
    paths = tissu("config", "path", "--json").json["files"]
    assert paths == [{"path": str(p), "is_used": True} for p in (user, file)]


def test_a_place_outranks_the_demo_and_not_its_corpus(
    tissu: Tissu, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TISSU_TRAINING__STEPS", "3")
    monkeypatch.setenv("TISSU_DATA__CORPUS", str(project))
    result = tissu("train", "--demo", "--dry-run", "--view", "json")
    assert result.code == 0, result.err
    events = map(json.loads, result.out.splitlines())
    plan = next(event for event in events if event["event"] == "Planned")
    assert (plan["steps"], plan["is_timed"]) == (3, False)
    assert plan["train_tokens"] > 1_000_000


def test_what_show_prints_is_a_settings_file(tissu: Tissu, project: Path) -> None:
    shown = tissu("config", "show", "--origin", "--set", "data.only=['.py', '\"']").out
    table = tomllib.loads(shown)
    assert table.pop("decoding")["temperature"] == 0.8
    assert table.pop("prompts") == {"batch_size": 8}
    assert table.pop("chat")["preset"] == "default"
    assert table.pop("quantize") == {"bits": 8, "method": "rtn"}
    assert build_config(TrainRun, table).data.only == (".py", '"')
    assert tissu("config", "show", "trainig").code == 2
    assert "training" in tissu("config", "show", "trainig").error[2]


@pytest.mark.parametrize(
    ("text", "variable", "named"),
    [
        ("[training]\nstpes = 5\n", "", "tissu.toml:2: there is no setting 'training.stpes'"),
        ("[training]\nsteps = 0\n", "", "tissu.toml:2: --steps is 0"),
        ("[training\n", "", "line 1"),
        ("", "many", "TISSU_TRAINING__STEPS: training.steps is 'many'"),
    ],
)
def test_a_bad_setting_is_refused_by_place_and_name(
    tissu: Tissu,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    variable: str,
    named: str,
) -> None:
    (project / "tissu.toml").write_text(text, "utf-8")
    monkeypatch.setenv("TISSU_TRAINING__STEPS", variable)
    for command in (["train", project], ["config", "validate"], ["config", "show"]):
        result = tissu(*command)
        assert result.code == 2, result.err
        assert named in result.error[0]


def test_validate_reads_any_file(tissu: Tissu, project: Path) -> None:
    good, bad = project / "good.toml", project / "bad.toml"
    good.write_text("[training]\nsteps = 5\n[decoding]\ntop_k = 3\n", "utf-8")
    bad.write_text("[decoding]\ntop_k = 'many'\n", "utf-8")
    assert tissu("config", "validate", good).out == f"{good}: good, 2 settings\n"
    assert "bad.toml:2" in tissu("config", "validate", good, bad).error[0]
    assert tissu("config", "validate", project / "none.toml").code == 3


def test_one_file_serves_every_command(
    trained_once: Trained, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "tissu.toml").write_text(
        "[decoding]\nmax_tokens = 2\n[training]\nsteps = 3\n[machine]\nthreads = 1\n", "utf-8"
    )
    result = trained_once.tissu("generate", "-p", "The ", "--json")
    assert result.json["new_tokens"] == 2
    assert result.err == f"settings: {project / 'tissu.toml'}\n"
    result = trained_once.tissu("generate", "-p", "The ", "--json", "--max-tokens", "1")
    assert result.json["new_tokens"] == 1
    assert trained_once.tissu("eval", "ppl", trained_once.corpus, "--json").code == 0
    monkeypatch.setenv("TISSU_DECODING__MAX_TOKENS", "3")
    assert trained_once.tissu("chat", "-p", "The ").err.count("3 tokens") == 1


def test_a_new_project_trains_as_it_is(
    tissu: Tissu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tissu("init", "my notes").code == 0
    folder = tmp_path / "my notes"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = tissu("init", "my notes")
    assert result.code == 2
    assert "tissu.toml is there already" in result.error[0]
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "below").mkdir()
    (folder / ".git").mkdir()
    monkeypatch.chdir(folder / "below")
    result = tissu("train", "--steps", "20", *FAST)
    assert result.code == 0, result.err
    assert (tissu.home / "runs" / "my-notes-1").is_dir()
    assert tissu("chat", "-p", "The ", "--max-tokens", "5").code == 0


def test_init_takes_a_corpus_that_is_there(tissu: Tissu, project: Path) -> None:
    (project / "corpus").mkdir()
    (project / "corpus" / "mine.txt").write_text("mine", "utf-8")
    assert tissu("init").code == 0
    assert [path.name for path in (project / "corpus").iterdir()] == ["mine.txt"]
    assert tissu("config", "validate").code == 0


def test_every_line_of_a_new_settings_file_can_be_switched_on(tissu: Tissu, project: Path) -> None:
    assert tissu("init").code == 0
    lines = (project / "tissu.toml").read_text("utf-8").splitlines()
    on = [line.removeprefix("# ") for line in lines[4:] if " =  #" not in line]
    (project / "tissu.toml").write_text("\n".join(on), "utf-8")
    assert tissu("config", "validate").code == 0
    assert len(tomllib.loads("\n".join(on))["decoding"]) > 5


def test_doctor_names_what_is_wrong_and_what_mends_it(tissu: Tissu, tmp_path: Path) -> None:
    result = tissu("doctor", "--json")
    assert result.code == 0, result.out
    checks = {check["name"]: check for check in result.json["checks"]}
    assert {"python", "torch", "processor", "memory", "home", "fp32", "terminal"} <= set(checks)
    assert all(check["hint"] for check in checks.values() if check["status"] != "ok")
    assert checks["backports.zstd"]["status"] == checks["pyarrow"]["status"] == "ok"
    (tmp_path / "file").write_text("in the way", "utf-8")
    blocked = Tissu(tmp_path / "file" / "home")
    result = blocked("doctor")
    assert result.code == 4
    assert "problem home" in result.out
    assert "try: TISSU_HOME=" in result.out


@pytest.mark.skipif(os.name != "posix", reason="pipes")
@pytest.mark.parametrize(
    "arguments",
    [["config", "show"], ["runs", "list"], ["inspect", "run"], ["inspect", "weights", "norm"]],
)
def test_a_reader_that_leaves_ends_any_command_quietly(
    trained_once: Trained, arguments: list[str]
) -> None:
    read, write = os.pipe()
    os.close(read)  # gone before the first line
    environ = environment(trained_once.tissu.home)
    done = subprocess.run([*COMMAND, *arguments], stdout=write, stderr=-1, env=environ, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")
