"""Where an answer came from, and where a mixture's tokens go, through the real command."""

import re
from pathlib import Path

import pytest
import torch

from tests.core.interpret.planted import routed_model
from tests.end_to_end.conftest import Copy, Tissu, Trained
from tests.samples import STORY, VOCAB_SIZE, make_config, make_model
from tissu_core.checkpoint.model_directory import write_model_files
from tissu_core.checkpoint.weights import load_tensors, save_tensors
from tissu_core.models.decoder import Decoder
from tissu_core.text.tokenizer import Tokenizer

USE = ["--threads", "1"]
PROMPT = ["-p", "The weaver counted 12", *USE]


@pytest.mark.parametrize("method", ["shap", "lime", "ig"])
def test_a_prompt_is_explained(trained_once: Trained, method: str) -> None:
    options = ["inspect", "explain", "cloth", *PROMPT, "--target", "threads", "--method", method]
    found = trained_once.tissu(*options, "--json").json
    assert "".join(part["text"] for part in found["parts"]) == "The weaver counted 12"
    assert [part["text"] for part in found["parts"]] == ["The", " weaver", " counted", " 12"]
    assert sum(part["num_tokens"] for part in found["parts"]) == 1 + (
        found["parts"][-1]["first_token"] + found["parts"][-1]["num_tokens"] - 1
    )
    assert found["target"] == " threads" and not found["is_own_target"]
    total = sum(part["value"] for part in found["parts"])
    assert total == pytest.approx(found["sum_of_values"])
    difference = found["log_prob"] - found["neutral_log_prob"]
    if method == "lime":
        assert 0 < found["fit"] <= 1
    else:
        assert total == pytest.approx(difference, rel=1e-9 if method == "shap" else 0.01)
    drawn = trained_once.tissu(*options)
    assert "follows a space" in drawn.err
    for word in ("weaver", "│", f"{found['sum_of_values']:+.3f}", "f(all away)"):
        assert word in drawn.out
    assert re.search(r"\[[+-]{4}\]", drawn.out), "words are marked without colour, too"


def test_the_target_is_the_models_own_if_left_out(trained_once: Trained) -> None:
    found = trained_once.tissu("inspect", "explain", *PROMPT, "--by", "token", "--json").json
    assert found["is_own_target"] and [found["likeliest"]] == found["target_tokens"]
    assert found["log_prob"] == pytest.approx(found["likeliest_log_prob"], abs=1e-4)
    assert all(part["num_tokens"] == 1 for part in found["parts"])
    said = trained_once.tissu("inspect", "explain", *PROMPT).out
    assert "own likeliest next token" in said


def test_a_target_of_several_tokens_and_a_sampled_prompt_say_so(trained_once: Trained) -> None:
    options = ["inspect", "explain", *PROMPT, "--by", "token", "--samples", "40"]
    result = trained_once.tissu(*options, "--target", " threads.\nThe miller")
    assert re.search(r"of all its \d+ tokens in order", result.out)
    assert "±" in result.out and "exact" not in result.out


def test_piped_text_and_pictures(trained_once: Trained, tmp_path: Path) -> None:
    picture = tmp_path / "why.svg"
    result = trained_once.tissu("inspect", "explain", "--svg", picture, *USE, stdin="The sailor\n")
    assert result.code == 0, result.err
    assert "sailor" in picture.read_text() and "rgb(" not in result.out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["-p", ""], 3, "the prompt is empty"),
        (["-p", "word " * 80], 2, "and the model reads 32 at once"),
        (["-p", "The", "--target", ""], 3, "the target is empty"),
        (["-p", "The", "--target", "threads " * 40], 2, "the prompt and the target are"),
        (["-p", "The", "--method", "saliency"], 2, "--method"),
        (["-p", "The", "--neutral", "the weaver"], 2, "it must be one"),
        (["-p", "The", "--neutral", ""], 2, "it must be one"),
        (["-p", "The", "--samples", "1"], 2, "--samples"),
        (["nowhere", "-p", "The"], 3, "nowhere"),
    ],
)
def test_what_cannot_be_explained(
    trained_once: Trained, options: list[str], code: int, said: str
) -> None:
    result = trained_once.tissu("inspect", "explain", *options, *USE)
    assert result.code == code, result.err
    assert said in result.error[0]


def test_a_target_that_the_vocabulary_lacks(
    tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models, pre_tokenizers

    words = {name: id for id, name in enumerate(["<unk>", "<s>", "▁The", "▁sky", "▁", "is"])}
    backend = Backend(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens(["<unk>", "<s>"])
    few = Tokenizer(
        backend,
        {"eos_token": "<s>", "bos_token": "<s>", "add_bos_token": True, "unk_token": "<unk>"},
    )
    write_model_files(tmp_path / "few", make_model(make_config(vocab_size=8)), few)
    result = tissu("inspect", "explain", tmp_path / "few", "-p", "The sky", "--target", "blue")
    assert result.code == 3 and "cannot write the target" in result.error[0]


def test_weights_that_are_no_numbers_are_named(trained_copy: Copy, tmp_path: Path) -> None:
    copy = trained_copy()
    folder = tmp_path / "odd"
    folder.mkdir()
    for file in (copy.run / "model").iterdir():
        if file.name != "tissu.json":
            (folder / file.name).write_bytes(file.read_bytes())
    tensors = load_tensors(folder / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"][3, 4] = torch.nan
    save_tensors(folder / "model.safetensors", tensors)
    result = copy.tissu("inspect", "explain", folder, *PROMPT)
    assert result.code == 3
    assert "model.layers.0.mlp.up_proj.weight holds NaN" in result.error[0]


def test_packed_weights_are_explained_as_they_are(trained_copy: Copy) -> None:
    copy = trained_copy()
    packed = copy.tissu("quantize", "cloth", "--bits", "8", "-o", "small", *USE)
    assert packed.code == 0, packed.err
    for method in ("shap", "ig"):
        options = ["inspect", "explain", "small", *PROMPT, "--method", method, "--target", "s"]
        result = copy.tissu(*options)
        assert result.code == 0 and "unpacked to fp32" in result.err
        assert f"{method}" in copy.tissu(*options, "--json").json["method"]


def test_gradients_that_do_not_fit_memory_are_refused(
    trained_copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = trained_copy()
    assert copy.tissu("quantize", "cloth", "--bits", "8", "-o", "small", *USE).code == 0
    options = ["inspect", "explain", "small", *PROMPT]
    exact = copy.tissu(*options, "--json").json["parts"]
    monkeypatch.setattr("tissu_core.runtime.memory.free_bytes", lambda device: 0)
    refused = copy.tissu(*options, "--method", "ig")
    assert refused.code == 4 and "--method shap" in refused.error[2]
    packed = copy.tissu(*options, "--json").json["parts"]
    assert [part["value"] for part in packed] == pytest.approx(
        [part["value"] for part in exact], abs=1e-3
    )


def write(folder: Path, model: Decoder, tokenizer: Tokenizer) -> Path:
    folder.mkdir()
    write_model_files(folder, model, tokenizer)
    return folder


def test_no_row_behind_the_vocabulary_is_the_answer(
    tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model = make_model(make_config(vocab_size=VOCAB_SIZE + 24, tie_word_embeddings=False))
    with torch.no_grad():
        model.lm_head.weight[VOCAB_SIZE] *= 100
        model.lm_head.weight[VOCAB_SIZE + 1] = -model.lm_head.weight[VOCAB_SIZE]
    folder = write(tmp_path / "padded", model, tiny_tokenizer)
    lens = tissu("inspect", "lens", folder, *PROMPT, "--json").json
    assert lens["answers"][-1]["token"] in (f"<{VOCAB_SIZE}>", f"<{VOCAB_SIZE + 1}>")
    found = tissu("inspect", "explain", folder, *PROMPT, "--json").json
    assert found["target_tokens"] == [found["likeliest"]] and found["likeliest_log_prob"] < 0
    spelled = [piece.decode("utf-8", "backslashreplace") for piece in tiny_tokenizer.pieces]
    assert found["likeliest"] in spelled


def test_experts_are_those_that_were_planted(
    tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    folder = write(tmp_path / "planted", routed_model(), tiny_tokenizer)
    text = tmp_path / "story.txt"
    text.write_text(STORY, "utf-8")
    options = ["inspect", "experts", folder, "--text", text, *USE]
    found = tissu(*options, "--json").json
    ids = tiny_tokenizer.encode(STORY)
    assert (found["num_experts"], found["experts_per_token"]) == (4, 1)
    assert 0.9 * len(ids) < found["num_tokens"] <= len(ids)
    by_text = {tiny_tokenizer.pieces[id].decode("utf-8", "backslashreplace"): id for id in ids}
    for layer in found["layers"]:
        assert sum(expert["count"] for expert in layer["experts"]) == found["num_tokens"]
        assert layer["dead"] == [] and layer["pairs"] == [] and 0.9 < layer["balance"] <= 1
        for expert in layer["experts"]:
            assert expert["mean_weight"] == 1
            for token in expert["tokens"]:
                assert (by_text[token["text"]] - 16 + layer["layer"]) % 4 == expert["expert"]
                assert token["count"] == token["times_read"]
    drawn = tissu(*options).out
    assert "share of each expert" in drawn and "layer 1, expert" in drawn
    slopes = tissu("inspect", "explain", folder, "-p", "The loom", "--method", "ig", *USE)
    assert slopes.code == 0 and "gradients do not see jumps" in slopes.err
    few = tissu("inspect", "experts", folder, "-p", "ab", "--json", *USE).json
    assert len(few["layers"][0]["dead"]) >= 2


def test_many_experts_are_bars_and_pairs_are_told(
    tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    config = make_config(num_local_experts=24, num_experts_per_tok=3)
    folder = write(tmp_path / "many", make_model(config), tiny_tokenizer)
    options = ["inspect", "experts", folder, "-p", STORY[:60], *USE]
    drawn = tissu(*options).out
    assert "share of expert 0 to 23" in drawn and "together" in drawn and "█" in drawn
    assert "the 16 of 24 experts" in drawn
    picked = tissu(*options, "--layer", "1").out
    assert "layer 1, expert" in picked and "layer 0, expert" not in picked
    assert "16 of 24" not in picked
    (alone,) = tissu(*options, "--layer", "1", "--json").json["layers"]
    assert alone == tissu(*options, "--json").json["layers"][1]


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_a_layer_that_is_not_there_is_refused_before_anything_is_read(
    tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path, how: list[str]
) -> None:
    folder = write(tmp_path / "planted", routed_model(), tiny_tokenizer)
    for layer in ("2", "-1"):
        refused = tissu("inspect", "experts", folder, "--text", "nowhere", "--layer", layer, *how)
        assert refused.code == 2 and f"no layer {layer}: there are 2" in refused.err
        assert "--layer 1" in refused.err and not refused.out


def test_what_has_no_experts_or_no_text_is_refused(
    trained_once: Trained, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tissu = trained_once.tissu
    plain = tissu("inspect", "experts", "cloth", "-p", "The")
    assert plain.code == 3 and "has no experts" in plain.error[0]
    folder = write(tmp_path / "planted", routed_model(), tiny_tokenizer)
    assert tissu("inspect", "experts", folder).code == 2
    assert tissu("inspect", "experts", folder, "-p", "The", "--text", folder).code == 2
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    assert tissu("inspect", "experts", folder, "--text", empty).code == 3
    assert "prompt is empty" in tissu("inspect", "experts", folder, "-p", "").error[0]
    broken = routed_model()
    with torch.no_grad():
        broken.model.layers[1].mlp.gate.weight[0] = torch.nan
    odd = tissu("inspect", "experts", write(tmp_path / "odd", broken, tiny_tokenizer), "-p", "The")
    assert odd.code == 3 and "layers.1.mlp.gate.weight holds NaN" in odd.error[0]
