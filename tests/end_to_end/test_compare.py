"""Models held against each other through the real command."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import Tissu, Trained, write_corpus
from tissu_core.checkpoint.weights import load_tensors, save_tensors

ONE = ["--threads", "1"]


@pytest.fixture(scope="module")
def models(
    trained_once: Trained, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tissu, Path, Path]:
    """The trained model's home, one of another size and tokenizer, and text that neither read."""
    root = tmp_path_factory.mktemp("compared")
    held = write_corpus(root / "held", documents=6, seed=9)
    other = root / "other"
    result = Tissu(root / "home")(
        *("train", trained_once.corpus, "--name", "linen", "--steps", "12", "--out", other),
        *("--layers", "2", "--width", "16", "--heads", "2", "--context", "48"),
        *("--vocab-size", "280", "--batch-tokens", "384", "--threads", "1"),
    )
    assert result.code == 0, result.err
    return trained_once.tissu, other / "model", held


def test_a_model_against_itself_differs_by_exactly_nothing(
    models: tuple[Tissu, Path, Path],
) -> None:
    tissu, _, held = models
    result = tissu("eval", "compare", "cloth", "cloth", "cloth:40", "--data", held, *ONE, "--json")
    found = result.json
    assert "cloth is named more than once" in result.err
    for each in found["models"]:
        assert (each["difference"], each["low"], each["high"]) == (0.0, 0.0, 0.0)
        assert not each["is_beyond_chance"]
    assert found["settings"] == [] and found["have_one_tokenizer"]


def test_models_of_other_sizes_and_tokenizers_compare_on_the_same_bytes(
    models: tuple[Tissu, Path, Path],
) -> None:
    tissu, other, held = models
    found = tissu("eval", "compare", "cloth", other, "--data", held, *ONE, "--json").json
    num_bytes = sum(path.stat().st_size for path in held.iterdir())
    assert (found["num_bytes"], found["num_documents"]) == (num_bytes, 6)
    assert (found["unit"], found["unit_bytes"]) == ("passages", 512)
    assert not found["have_one_tokenizer"]
    for each in found["models"]:
        alone = tissu("eval", "ppl", held, *ONE, "-m", each["model"], "--json").json
        for name in ("bits_per_byte", "perplexity", "num_tokens", "context_tokens", "stride"):
            assert each[name] == alone[name]
        assert each["tokens_per_byte"] == each["num_tokens"] / num_bytes
        assert each["prefill_tokens_per_second"] > 0 and each["num_bytes"] > 0
    first, second = found["models"]
    assert second["difference"] == second["bits_per_byte"] - first["bits_per_byte"] > 0.1
    assert second["low"] < second["difference"] < second["high"]
    assert second["is_beyond_chance"]
    assert first["num_parameters"] != second["num_parameters"]
    again = tissu("eval", "compare", "cloth", other, "--data", held, *ONE, "--json").json
    assert again["models"][1]["low"] == second["low"]
    seeded = tissu(
        "eval", "compare", "cloth", other, "--data", held, *ONE, "--seed", "1", "--json"
    ).json
    assert seeded["models"][1]["low"] != second["low"]


def test_only_settings_that_differ_are_named(models: tuple[Tissu, Path, Path]) -> None:
    tissu, other, held = models
    found = tissu("eval", "compare", "cloth", other, "--data", held, *ONE, "--json").json[
        "settings"
    ]
    table = {setting["name"]: setting["values"] for setting in found}
    assert table["model.hidden_size"] == ["32", "16"]
    assert table["model.num_hidden_layers"] == ["1", "2"]
    assert table["training.steps"] == ["40", "12"]
    assert {"tokenizer", "model.vocab_size"} <= {*table}
    assert {"weights", "model.norm", "training.seed"}.isdisjoint(table)
    assert all(len({*values}) > 1 for values in table.values())


def test_many_documents_are_drawn_whole(models: tuple[Tissu, Path, Path], tmp_path: Path) -> None:
    tissu, other, _ = models
    path = tmp_path / "many.jsonl"
    lines = [f"The weaver counted {number} threads." for number in range(60)]
    path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), "utf-8")
    found = tissu("eval", "compare", "cloth", other, "--data", path, *ONE, "--json").json
    assert (found["unit"], found["num_units"], found["unit_bytes"]) == ("documents", 60, None)


def test_it_is_drawn_and_saved(models: tuple[Tissu, Path, Path], tmp_path: Path) -> None:
    tissu, other, held = models
    svg = tmp_path / "compared.svg"
    result = tissu("eval", "compare", "cloth", other, "--data", held, *ONE, "--svg", svg)
    assert result.code == 0, result.err
    for word in ("bits/byte", "worse", "perplexity", "tokens/byte", "do not compare", "╋"):
        assert word in result.out
    assert "setting" in svg.read_text("utf-8")


def test_what_cannot_be_compared_is_said(
    models: tuple[Tissu, Path, Path], trained_copy: Callable[[], Trained], tmp_path: Path
) -> None:
    tissu, _, held = models
    alone = tissu("eval", "compare", "cloth", "--data", held)
    assert alone.code == 2 and "needs two" in alone.error[0]
    missing = tissu("eval", "compare", "cloth", "cloht", "--data", held)
    assert missing.code == 3 and "'cloht'" in missing.error[0] and "cloth" in missing.error[2]
    assert tissu("eval", "compare", "cloth", "cloth").code == 2
    far = tissu("eval", "compare", "cloth", "cloth", "--data", held, *ONE, "--stride", "33")
    assert far.code == 2 and "--stride 16" in far.error[2]
    broken = trained_copy()
    folder = tmp_path / "broken"
    shutil.copytree(broken.run / "model", folder)
    (folder / "tissu.json").unlink()
    tensors = load_tensors(folder / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][2, 2] = torch.nan
    save_tensors(folder / "model.safetensors", tensors)
    for command in (
        ["compare", "cloth", folder, "--data", held],
        ["errors", held, "-m", folder],
        ["ppl", held, "-m", folder],
    ):
        result = tissu("eval", *command, *ONE)
        assert result.code == 3 and not result.out
        assert "broken predicts nothing: model.layers.0.mlp.up_proj" in result.error[0]


@pytest.mark.parametrize("text", ["", "\n", "a"])
def test_text_of_fewer_than_two_tokens_measures_nothing(
    trained_once: Trained, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "short.txt"
    path.write_text(text, "utf-8")
    for command in (
        ["ppl", path],
        ["errors", path],
        ["compare", "cloth", "cloth", "--data", path],
    ):
        result = trained_once.tissu("eval", *command, *ONE)
        assert result.code == 3, result.err
        assert "text" in result.error[0] and not result.out


def test_suites_are_held_item_by_item(models: tuple[Tissu, Path, Path], tmp_path: Path) -> None:
    tissu, other, held = models
    path = tmp_path / "crafts.toml"
    items = [
        f'[[items]]\nid = "{number}"\nprompt = "The weaver counted {number} "\n'
        f'choices = ["threads.", "zqx#."]\nanswers = ["{answer}"]\n'
        for number, answer in zip(range(12, 36), ["threads.", "zqx#."] * 12, strict=True)
    ]
    path.write_text('metric = "choice"\n' + "".join(items), "utf-8")
    options = ["eval", "compare", "cloth", "cloth", other, "--data", held, *ONE, "--suite", path]
    (suite,) = tissu(*options, "--json").json["suites"]
    assert (suite["suite"], suite["num_items"], suite["chance"]) == ("crafts", 24, 0.5)
    first, same, third = suite["models"]
    assert same == first and (first["value"], first["low"], first["high"]) == (0.5, 0.0, 0.0)
    alone = tissu("eval", "suite", path, "-m", other, *ONE, "--json").json
    assert third["value"] == pytest.approx(alone["value"])
    assert third["difference"] == third["value"] - first["value"]
    assert third["low"] <= third["difference"] <= third["high"]
    drawn = tissu(*options)
    assert "crafts" in drawn.out and "guessing comes to 50.0" in drawn.out
    few = tissu(*options, "--limit", "5", "--json").json["suites"][0]["models"][2]
    assert few["low"] is None and not few["is_beyond_chance"]


def test_bleu_is_that_of_all_replies(models: tuple[Tissu, Path, Path], tmp_path: Path) -> None:
    tissu, other, held = models
    path = tmp_path / "crafts.toml"
    items = [
        f'[[items]]\nid = "{number}"\nprompt = "The weaver"\n'
        f'answers = ["counted {number} threads.", "moved {number} sails."]\n'
        for number in range(12, 24)
    ]
    path.write_text('metric = "bleu"\nmax_tokens = 16\n' + "".join(items), "utf-8")
    options = ["eval", "compare", "cloth", other, "--data", held, *ONE, "--suite", path]
    (suite,) = tissu(*options, "--json").json["suites"]
    alone = [
        tissu("eval", "suite", path, "-m", name, *ONE, "--json").json for name in ("cloth", other)
    ]
    first, second = suite["models"]
    assert [first["value"], second["value"]] == [own["value"] for own in alone]
    assert dict(alone[0]["figures"])["mean of single replies"] != alone[0]["value"] > 0
    assert second["low"] <= second["difference"] <= second["high"]
    assert alone[0]["low"] <= alone[0]["value"] <= alone[0]["high"]
    few = tissu("eval", "suite", path, "-m", "cloth", *ONE, "--limit", "9", "--json").json
    assert (few["low"], few["high"], few["standard_error"]) == (None, None, None)
    assert "too few" in tissu("eval", "suite", path, "-m", "cloth", *ONE, "--limit", "9").out


def test_two_suites_of_one_name_are_refused(
    models: tuple[Tissu, Path, Path], tmp_path: Path
) -> None:
    tissu, _, held = models
    paths = [tmp_path / folder / "same.toml" for folder in ("a", "b")]
    for path, answer in zip(paths, ("threads.", "zqx#."), strict=True):
        path.parent.mkdir()
        path.write_text(
            'metric = "choice"\n[[items]]\nid = "x"\nprompt = "The weaver counted 9 "\n'
            f'choices = ["threads.", "zqx#."]\nanswer = "{answer}"\n',
            "utf-8",
        )
    both = ["--suite", paths[0], "--suite", paths[1]]
    for command in (
        ["compare", "cloth", "cloth", "--data", held, *both],
        ["suite", *paths, "-m", "cloth"],
        ["adversarial", *paths, "-m", "cloth"],
    ):
        refused = tissu("eval", *command, *ONE)
        assert refused.code == 2 and not refused.out
        assert f"{paths[0]} and {paths[1]} are both called same" in refused.error[0]
        assert 'name = "..."' in refused.error[2]
    once = tissu("eval", "suite", paths[0], paths[0].parent / "." / ".." / "a" / "same.toml")
    assert once.code == 0, once.err


def test_a_suite_that_is_not_there_is_said_before_anything_is_read(
    models: tuple[Tissu, Path, Path],
) -> None:
    tissu, _, held = models
    options = ["eval", "compare", "cloth", "cloth", "--data", held, *ONE, "--suite", "clozf"]
    missing = tissu(*options)
    assert missing.code == 3 and "clozf" in missing.error[0] and not missing.out
