"""Gemma and Mixtral through the real command."""

from pathlib import Path

import pytest

from tests.architectures import ARCHITECTURES
from tests.end_to_end.conftest import Tissu
from tissu_core.text.tokenizer import Tokenizer


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "mixtral"])
def test_a_model_of_transformers_works_in_every_command(
    name: str, tissu: Tissu, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    folder = tmp_path / "theirs"
    theirs = ARCHITECTURES[name].build()
    theirs.save_pretrained(folder)
    tiny_tokenizer.save(folder)
    text = tmp_path / "text.txt"
    text.write_text("The weaver set the loom beside the window.\n" * 20)
    use = ("--threads", "1")
    said = "not vision_tower and multi_modal_projector" if name == "gemma3" else ""

    generated = tissu("generate", folder, "-p", "The weaver", "--max-tokens", "8", "--json", *use)
    assert generated.code == 0, generated.err
    assert generated.json["new_tokens"] > 0
    chatted = tissu("chat", folder, "-p", "The", "--max-tokens", "4", *use)
    assert chatted.code == 0
    assert said in chatted.err
    assert ("text part" in chatted.err) == bool(said)
    plain = tissu("eval", "ppl", text, "-m", folder, "--json", *use)
    assert plain.code == 0 and said in plain.err

    tree = tissu("inspect", "model", folder, "--json").json
    assert tree["num_parameters"] == theirs.get_decoder().num_parameters() + (
        0 if theirs.config.tie_word_embeddings else theirs.lm_head.weight.numel()
    )
    found = tissu("inspect", "weights", "layers.0.**.up", folder, "--json").json["tensors"]
    assert len(found) == theirs.config.to_dict().get("num_local_experts", 1)

    packed = tissu(
        "quantize", folder, "--bits", "8", "--text", text, "-o", "packed", "--json", *use
    )
    assert packed.code == 0, packed.err
    assert said in packed.err
    measured = tissu("eval", "ppl", text, "-m", "packed", "--json", *use).json["bits_per_byte"]
    assert measured == pytest.approx(plain.json["bits_per_byte"], rel=0.03)
    assert measured == pytest.approx(packed.json["bits_per_byte_after"], rel=0.01)
    again = tissu("generate", "packed", "-p", "The", "--max-tokens", "4", "--greedy", *use)
    assert again.code == 0, again.err
