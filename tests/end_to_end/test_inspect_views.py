"""Looking at a model while it reads a prompt, through the real command."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.end_to_end.conftest import Trained
from tissu_core.checkpoint.weights import load_tensors, save_tensors

PROMPT = "The weaver counted. The weaver"


def spoil(copy: Trained) -> Path:
    """The run's model with one weight that is no number."""
    folder = copy.tissu.home / "spoiled"
    (copy.run / "model").rename(folder)
    (folder / "tissu.json").unlink()
    path = folder / "model.safetensors"
    tensors = load_tensors(path)
    tensors["model.layers.0.self_attn.q_proj.weight"][3, 4] = torch.nan
    path.unlink()
    save_tensors(path, tensors)
    return folder


def test_scores_of_all_heads_are_told_and_shares_of_those_asked_for(trained_once: Trained) -> None:
    command = ["inspect", "attention", "cloth", "-p", PROMPT, "--json"]
    summary = trained_once.tissu(*command).json
    assert summary["event"] == "AttentionSeen"
    assert [(head["layer"], head["head"]) for head in summary["heads"]] == [(0, 0), (0, 1)]
    assert summary["shown"] == []
    assert "".join(summary["tokens"][1:]) == PROMPT
    (shown,) = trained_once.tissu(*command, "--layer", "0", "--head", "1").json["shown"]
    assert shown["head"] == 1
    assert [len(row) for row in shown["shares"]] == [*range(1, len(summary["tokens"]) + 1)]
    assert all(sum(row) == pytest.approx(1, abs=1e-4) for row in shown["shares"])
    layer = trained_once.tissu(*command, "--layer", "0").json
    assert layer["shown"][1] == shown


def test_a_part_of_a_prompt_is_shown(trained_once: Trained) -> None:
    command = ["inspect", "attention", "cloth", "-p", PROMPT, "--layer", "0", "--head", "1"]
    whole = trained_once.tissu(*command, "--json").json
    part = trained_once.tissu(*command, "--json", "--from", "2", "--to", "5").json
    assert (part["first"], part["last"]) == (2, 5)
    rows = whole["shown"][0]["shares"]
    assert part["shown"][0]["shares"] == [rows[number][2:] for number in range(2, 6)]
    assert part["heads"] == whole["heads"]


def test_views_are_drawn(trained_once: Trained, tmp_path: Path) -> None:
    command = ["inspect", "attention", "cloth", "-p", PROMPT]
    grid = trained_once.tissu(*command)
    assert grid.code == 0 and "0.1 " in grid.out and "none of these" in grid.out
    files = [tmp_path / f"map.{kind}" for kind in ("svg", "html", "png")]
    options = [part for file in files for part in (f"--{file.suffix[1:]}", file)]
    shown = trained_once.tissu(*command, "--layer", "0", "--head", "1", *options)
    assert "layer 0, head 1" in shown.out and "weaver" in shown.out.replace("\n", "")
    assert all(f"drawn: {file}" in shown.err for file in files)
    assert "layer" in files[0].read_text()
    assert files[2].read_bytes().startswith(b"\x89PNG")
    assert '"0.1"' in files[1].read_text() and '"0.0"' not in files[1].read_text()
    trained_once.tissu(*command, "--html", files[1])
    assert '"0.1"' in files[1].read_text() and '"0.0"' in files[1].read_text()


def test_without_a_prompt_random_tokens_come_again(trained_once: Trained) -> None:
    result = trained_once.tissu("inspect", "attention", "cloth", "--json")
    assert "7 random tokens, 4 times over" in result.err
    tokens = result.json["tokens"]
    assert tokens[1:8] == tokens[8:15] == tokens[22:29] and len(tokens) == 29
    assert all(head["induction"] is not None for head in result.json["heads"])


def test_a_prompt_without_repeats_has_no_induction(trained_once: Trained) -> None:
    result = trained_once.tissu("inspect", "attention", "cloth", "-p", "The", "--json")
    assert "induction is not measured" in result.err
    assert {head["induction"] for head in result.json["heads"]} == {None}


def test_the_lens_ends_with_what_the_model_says(trained_once: Trained) -> None:
    command = ["inspect", "lens", "cloth", "-p", PROMPT]
    seen = trained_once.tissu(*command, "--json").json
    assert [layer["name"] for layer in seen["layers"]] == ["embed", "0"]
    assert len(seen["answers"]) == len(seen["tokens"])
    written = trained_once.tissu("generate", "cloth", "-p", PROMPT, "--greedy", "--max-tokens", "1")
    assert seen["answers"][-1]["token"].strip() == written.out.removeprefix(PROMPT).strip()
    assert seen["layers"][-1]["reads"][-1]["tokens"] == [seen["answers"][-1]["token"]]
    top = trained_once.tissu(*command, "--json", "--position", "3", "--top", "7").json
    assert (top["first"], top["last"]) == (3, 3)
    (read,) = top["layers"][-1]["reads"]
    assert len(read["tokens"]) == 7
    assert read["probabilities"] == sorted(read["probabilities"], reverse=True)
    assert read["tokens"][0] == seen["answers"][3]["token"]
    drawn = trained_once.tissu(*command)
    assert drawn.code == 0 and "first on top after layer" in drawn.out
    long = trained_once.tissu("inspect", "lens", "cloth", "-p", "The loom " * 2 + PROMPT)
    assert long.code == 0 and "--from" in long.err


def test_a_pipe_is_a_prompt_of_the_lens(trained_once: Trained) -> None:
    piped = trained_once.tissu("inspect", "lens", "cloth", "--json", stdin=PROMPT)
    assert piped.json == trained_once.tissu("inspect", "lens", "cloth", "-p", PROMPT, "--json").json


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--layer", "1"], 2, "no layer 1: there are 1, from 0"),
        (["--layer", "0", "--head", "2"], 2, "heads 0 to 1"),
        (["--head", "1"], 2, "of no layer"),
        (["--layer", "-1"], 2, "0 or more"),
        (["--to", "99"], 2, "the prompt has tokens 0 to"),
        (["--from", "3", "--to", "2"], 2, "--from 3 is behind"),
    ],
)
def test_what_is_not_there_is_refused(
    trained_once: Trained, options: list[str], code: int, said: str
) -> None:
    result = trained_once.tissu("inspect", "attention", "cloth", "-p", PROMPT, *options)
    assert result.code == code and said in " ".join(result.error)


@pytest.mark.parametrize("view", ["attention", "lens"])
def test_prompts_that_cannot_be_read_are_refused(trained_once: Trained, view: str) -> None:
    empty = trained_once.tissu("inspect", view, "cloth", "-p", "")
    assert empty.code == 3 and "the prompt is empty" in empty.error[0]
    long = trained_once.tissu("inspect", view, "cloth", "-p", "loom " * 99)
    assert long.code == 2 and "reads 32 at once" in long.error[0]
    none = trained_once.tissu("inspect", view, "nothing", "-p", "a")
    assert none.code == 3 and none.error


@pytest.mark.parametrize("options", [["--position", "99"], ["--position", "1", "--from", "0"]])
def test_positions_that_are_not_there_are_refused(
    trained_once: Trained, options: list[str]
) -> None:
    result = trained_once.tissu("inspect", "lens", "cloth", "-p", PROMPT, *options)
    assert result.code == 2 and "--position" in result.error[0]


@pytest.mark.parametrize("view", ["attention", "lens"])
def test_a_weight_that_is_no_number_is_named(
    trained_copy: Callable[[], Trained], view: str
) -> None:
    copy = trained_copy()
    result = copy.tissu("inspect", view, spoil(copy), "-p", PROMPT)
    assert result.code == 3 and result.out == ""
    assert "model.layers.0.self_attn.q_proj.weight holds NaN" in result.error[0]


@pytest.mark.parametrize("view", ["attention", "lens"])
def test_a_model_of_another_kind_is_refused(trained_copy: Callable[[], Trained], view: str) -> None:
    copy = trained_copy()
    config = copy.run / "model" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "abacus"}))
    result = copy.tissu("inspect", view, "cloth", "-p", PROMPT)
    assert result.code in (3, 6) and result.error


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "attention", "{}", "-p", "a"],
        ["inspect", "lens", "{}", "-p", "a"],
        ["inspect", "explain", "{}", "-p", "a"],
        ["eval", "suite", "cloze", "-m", "{}"],
        ["eval", "adversarial", "-m", "{}"],
    ],
)
def test_a_model_without_a_tokenizer_is_told(
    trained_copy: Callable[[], Trained], words: list[str]
) -> None:
    trained = trained_copy()
    model = trained.run / "model"
    for name in ("tokenizer.json", "tissu.json"):  # no manifest promises what is gone
        (model / name).unlink()
    refused = trained.tissu(*(word.format(model) for word in words))
    assert refused.code == 3 and "has no tokenizer.json" in refused.error[0]
