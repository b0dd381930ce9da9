"""Architecture options through the real command."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.end_to_end.conftest import FAST, Tissu
from tests.samples import CPU, random_ids
from tissu_core.checkpoint.model_directory import load_model

SHORT = [*FAST, "--steps", "4", "--eval-every", "2", "--name", "shape"]
LAYER_NORM = ["--norm", "layernorm", "--ffn"]


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ([], "qwen3"),
        (["--window", "8"], "qwen3"),
        (["--no-qk-norm"], "llama"),
        (["--bias", "--tie-embeddings"], "llama"),
        (["--no-qk-norm", "--window", "8", "--kv-heads", "1"], "mistral"),
        ([*LAYER_NORM, "gelu_tanh", "--pos", "learned", "--bias", "--init", "gpt2"], "gpt2"),
        ([*LAYER_NORM, "gelu", "--pos", "alibi", "--tie-embeddings"], "mpt"),
    ],
)
def test_a_trained_shape_opens_in_transformers(
    tissu: Tissu, corpus: Path, options: list[str], kind: str
) -> None:
    result = tissu("train", corpus, *SHORT, *options)
    assert result.code == 0, result.err
    assert "only tissu reads" not in result.err
    directory = tissu.home / "runs" / "shape" / "model"
    assert json.loads((directory / "config.json").read_text())["model_type"] == kind
    ids = random_ids(1, 20, vocab_size=300)
    with torch.no_grad():
        ours = load_model(directory, CPU).model(ids)
        theirs = AutoModelForCausalLM.from_pretrained(directory)(ids).logits
    assert (ours - theirs).abs().max() < 1e-4


def test_alibi_reads_four_times_the_context_it_was_trained_on(tissu: Tissu, corpus: Path) -> None:
    """Press et al. 2021: where a table of positions ends, a slope goes on."""
    assert tissu("train", corpus, "--pos", "alibi", "--steps", "60", *FAST).code == 0
    short, long = (
        tissu("eval", "ppl", corpus / "text-00.txt", "--context", size, "--json").json
        for size in ("32", "128")
    )
    assert (short["context_tokens"], long["context_tokens"]) == (32, 128)
    assert long["bits_per_byte"] < 1.02 * short["bits_per_byte"]


def test_a_learned_table_is_not_read_beyond_its_end(tissu: Tissu, corpus: Path) -> None:
    assert tissu("train", corpus, "--pos", "learned", "--steps", "2", *FAST).code == 0
    result = tissu("eval", "ppl", corpus, "--context", "64")
    assert result.code == 2
    assert "learned 32 positions" in result.error[0]


def test_a_shape_of_ones_own_says_so_and_works_everywhere(tissu: Tissu, corpus: Path) -> None:
    options = "--ffn relu2 --pos sinusoidal --norm layernorm --window 6 --init kaiming_normal"
    result = tissu("train", corpus, *SHORT, *options.split())
    assert result.code == 0, result.err
    assert "only tissu reads" in result.err
    assert tissu("generate", "-p", "The weaver", "--max-tokens", "20", "--greedy").code == 0
    assert tissu("eval", "ppl", corpus, "--json").json["bits_per_byte"] > 0
    assert "layers.0" in tissu("inspect", "weights", "layer.0.attn").out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--norm", "batchnorm"], "--norm"),
        (["--ffn", "swish"], "--ffn"),
        (["--pos", "rotary"], "--pos"),
        (["--window", "0"], "--window"),
        (["--init", "zeros"], "--init"),
        (["--width", "30", "--heads", "6"], "rotary"),
    ],
)
def test_what_is_no_architecture_is_refused(
    tissu: Tissu, corpus: Path, options: list[str], word: str
) -> None:
    result = tissu("train", corpus, *options)
    assert result.code == 2
    assert word in " ".join(result.error)


def test_odd_heads_are_for_positions_that_are_not_rotary(tissu: Tissu, corpus: Path) -> None:
    # FAST has --width 32 --heads 2; the later word counts.
    result = tissu("train", corpus, *SHORT, "--width", "30", "--heads", "6", "--pos", "alibi")
    assert result.code == 0, result.err
