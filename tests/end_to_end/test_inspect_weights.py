"""Tensors, and what became of them, through the real commands."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import FAST, Tissu, Trained, write_corpus
from tissu_core.checkpoint.weights import load_tensors, save_tensors

UP = "model.layers.0.mlp.up_proj.weight"
Change = Callable[[dict[str, torch.Tensor]], None]


def changed(trained: Trained, folder: Path, change: Change) -> Path:
    """A copy of the model with other weights."""
    shutil.copytree(trained.run / "model", folder)
    (folder / "tissu.json").unlink()
    tensors = load_tensors(folder / "model.safetensors")
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    change(tensors)
    (folder / "model.safetensors").unlink()
    save_tensors(folder / "model.safetensors", tensors)
    return folder


def plant(tensors: dict[str, torch.Tensor]) -> None:
    """A dead row, a row of large values and a matrix of rank 3."""
    tensors[UP][7] = 0
    tensors[UP][9] *= 30
    down = "model.layers.0.mlp.down_proj.weight"
    rows, columns = tensors[down].shape
    tensors[down] = torch.randn(rows, 3) @ torch.randn(3, columns)


def test_what_was_planted_is_shown(trained_once: Trained, tmp_path: Path) -> None:
    odd = changed(trained_once, tmp_path / "odd", plant)
    drawn = trained_once.tissu("inspect", "weights", "mlp.up", odd).out
    assert "1 dead: 7" in drawn and "1 far above the usual" in drawn and ": 9 (" in drawn
    assert "⠀" in drawn, "the spectrum's curve"
    low = trained_once.tissu("inspect", "weights", "mlp.down", odd, "--json").json["tensors"][0]
    assert low["spectrum"]["rank"] == 3
    assert low["spectrum"]["condition"] is None
    assert 1 < low["spectrum"]["effective_rank"] < 3.1
    values = load_tensors(odd / "model.safetensors")[low["name"]]
    expected = torch.linalg.svdvals(values.double()).tolist()
    assert low["spectrum"]["values"][:3] == pytest.approx(expected[:3])


def test_many_tensors_have_no_spectrum_unless_it_is_asked_for(trained_once: Trained) -> None:
    plain = trained_once.tissu("inspect", "weights", "**")
    assert "eff. rank" not in plain.out
    asked = trained_once.tissu("inspect", "weights", "**", "--spectrum")
    assert "eff. rank" in asked.out
    few = ["inspect", "weights", "lm_head", "--json"]
    assert trained_once.tissu(*few).json["tensors"][0]["spectrum"]
    assert trained_once.tissu(*few, "--no-spectrum").json["tensors"][0]["spectrum"] is None


def test_the_same_tensors_of_another_model(trained_once: Trained, tmp_path: Path) -> None:
    def scale(tensors: dict[str, torch.Tensor]) -> None:
        tensors[UP] *= 1.25
        tensors["lm_head.weight"][3, 4] += 7

    other = changed(trained_once, tmp_path / "other", scale)
    words = ["inspect", "weights", "mlp.up", other, "--against", "cloth"]
    compared = trained_once.tissu(*words, "--json").json["tensors"][0]["comparison"]
    assert compared["change"] == pytest.approx(0.25)
    assert compared["cosine"] == pytest.approx(1)
    assert "changed by 25%, cosine 1.000000" in trained_once.tissu(*words).out
    words[2] = "lm_head"
    assert "[3, 4]: +7" in trained_once.tissu(*words).out
    words[2] = "**"
    table = trained_once.tissu(*words).out
    assert "change" in table and "cosine" in table and "25%" in table


def test_an_int4_model_against_what_it_was_made_of(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    made = copy.tissu("quantize", "cloth", "--bits", "4", "-o", "small")
    assert made.code == 0, made.err
    result = copy.tissu("inspect", "weights", "mlp.up", "small", "--against", "cloth")
    assert "dB measured against the other" in result.out
    assert "expected of its steps" in result.out
    assert "88 x 32  int4" in result.out, "the shape of the weights, not of the bytes"
    alone = copy.tissu("inspect", "weights", "mlp.up", "small").out
    assert "--against FULL measures it" in alone
    names = [
        t["name"] for t in copy.tissu("inspect", "weights", "**", "small", "--json").json["tensors"]
    ]
    assert not any(name.endswith(("_scale", "_min")) for name in names)
    tree = copy.tissu("inspect", "tree", "small", "--json").json
    assert tree["tensors"][0]["name"] == "model.embed_tokens.weight"
    assert sorted(t["name"] for t in tree["tensors"]) == sorted(names)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["weights", "mlp.upp_proj"], 2, "did you mean layers.0.mlp.up_proj"),
        (["weights", "mlp", "--against", "cloht"], 3, "did you mean cloth"),
        (["weights", "mlp", "cloth", "--against", "cloth"], 2, "nothing to compare"),
        (["diff", "cloth", "cloth"], 2, "nothing to compare"),
        (["diff", "cloth", "cloht"], 3, "did you mean cloth"),
        (["diff", "cloth", "cloth:7"], 3, "keeps no checkpoint of step 7"),
        (["tree", "cloht"], 3, "did you mean cloth"),
    ],
)
def test_what_cannot_be_shown(
    trained_once: Trained, words: list[str], code: int, said: str
) -> None:
    result = trained_once.tissu("inspect", *words)
    assert result.code == code, result.err
    assert said in " ".join(result.error)


def test_layers_that_moved(trained_once: Trained, tmp_path: Path) -> None:
    def move(tensors: dict[str, torch.Tensor]) -> None:
        tensors[UP] *= 1.5
        tensors["lm_head.weight"][0, 0] = torch.nan

    other = changed(trained_once, tmp_path / "other", move)
    report = trained_once.tissu("inspect", "diff", "cloth", other, "--json").json
    moved = {(part["layer"], part["kind"]): part["change"] for part in report["parts"]}
    assert moved["layers.0", "up"] == pytest.approx(0.5)
    assert moved["layers.0", "q"] == 0 and moved["embed_tokens", "all"] == 0
    assert report["settings"] == [] and report["moved"] == []
    assert [t["left_out"] for t in report["tensors"] if t["name"] == "lm_head.weight"] == [1]
    drawn = trained_once.tissu("inspect", "diff", "cloth", other).out
    for words in ("1 of 14 changed", "50.0", "1 values are no numbers", "layers.0.mlp.up_proj"):
        assert words in drawn, drawn


def test_models_of_other_shapes(trained_once: Trained, tmp_path: Path) -> None:
    def grow(tensors: dict[str, torch.Tensor]) -> None:
        tensors["lm_head.weight"] = torch.ones(400, 32)
        tensors["model.embed_tokens.weight"] = torch.ones(400, 32)
        tensors["model.layers.1.mlp.up_proj.weight"] = torch.ones(4, 4)
        del tensors["model.norm.weight"]

    other = changed(trained_once, tmp_path / "other", grow)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "vocab_size": 400}))
    report = trained_once.tissu("inspect", "diff", "cloth", other, "--json").json
    assert report["settings"] == [["vocab_size", str(config["vocab_size"]), "400"]]
    assert report["only_before"] == ["model.norm.weight"]
    assert report["only_after"] == ["model.layers.1.mlp.up_proj.weight"]
    assert [name for name, _, _ in report["other_shapes"]] == [
        "model.embed_tokens.weight",
        "lm_head.weight",
    ]
    drawn = trained_once.tissu("inspect", "diff", "cloth", other).out
    for words in ("vocab_size", "only before  1: model.norm.weight", "other shape  2:"):
        assert words in drawn


@pytest.fixture(scope="module")
def frozen_run(tmp_path_factory: pytest.TempPathFactory) -> Tissu:
    """A run whose embedding learns and whose layer does not, with all checkpoints kept."""
    root = tmp_path_factory.mktemp("frozen")
    tissu = Tissu(root / "home")
    corpus = write_corpus(root / "corpus", documents=4)
    words = ["--name", "r", "--steps", "30", "--eval-every", "10", "--keep", "9"]
    done = tissu("train", corpus, *words, "--freeze", "layers.0.mlp", *FAST)
    assert done.code == 0, done.err
    return tissu


def test_a_run_alone_tells_when_its_layers_moved(frozen_run: Tissu) -> None:
    report = frozen_run("inspect", "diff", "r", "--json").json
    moved = {each["layer"]: each for each in report["moved"]}
    first, second = moved["layers.0"]["steps"][:2]
    assert moved["embed_tokens"]["moved_between"] == [first, second]
    changes = moved["layers.0"]["changes"]
    assert changes[0] == 0 and changes == sorted(changes) and changes[-1] > 0
    parts = {(part["layer"], part["kind"]): part["change"] for part in report["parts"]}
    assert parts["layers.0", "up"] == 0 < parts["layers.0", "q"]
    drawn = frozen_run("inspect", "diff", "r")
    assert f"between {first} and {second}" in drawn.out
    named = frozen_run("inspect", "diff", f"r:{first}", f"r:{second}", "--json").json
    assert named["moved"] == []
    assert named["parts"][-1]["change"] == pytest.approx(moved["all"]["changes"][1])


def test_one_checkpoint_has_nothing_to_be_held_against(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    for path in sorted((copy.run / "checkpoints").glob("step-*"))[:-1]:
        shutil.rmtree(path)
    shutil.rmtree(copy.run / "model")
    result = copy.tissu("inspect", "diff", "cloth")
    assert result.code == 3
    assert "a difference needs two" in result.error[0]


def test_without_a_screen_there_is_a_list_and_the_help(trained_once: Trained) -> None:
    listed = trained_once.tissu("inspect", "tree", "cloth")
    assert "q_proj  32 x 32  F32" in listed.out
    alone = trained_once.tissu("inspect")
    assert alone.code == 0
    assert "Usage" in alone.out and "weights" in alone.out


def test_a_difference_is_saved_as_pictures(trained_once: Trained, tmp_path: Path) -> None:
    other = changed(trained_once, tmp_path / "other", plant)
    svg = tmp_path / "diff.svg"
    done = trained_once.tissu("inspect", "diff", "cloth", other, "--svg", svg)
    assert done.code == 0
    assert "down_proj" in svg.read_text()


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize("words", [["inspect"], ["inspect", "tree", "cloth"]])
def test_the_tree_on_a_real_terminal(trained_once: Trained, words: list[str]) -> None:
    from tests.end_to_end.screens import Chat
    from tests.end_to_end.test_terminal import Terminal

    class Walk(Chat):
        def __init__(self) -> None:
            Terminal.__init__(self, trained_once.tissu.home, *words)
            self.child.delaybeforesend = None

    screen = Walk()
    screen.shows("parameters in 14 tensors", "embed_tokens", "q Quit")
    screen.child.send("/")
    screen.shows("part of a name")
    screen.child.send("0.mlp.up\r")
    screen.shows("model.layers.0.mlp.up_proj.weight", "rank", "energy")
    screen.child.send("q")
    assert screen.read_to_end() == 0
    screen.assert_restored()
    assert screen.foreign == []
