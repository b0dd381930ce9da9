"""A GGUF file has the tensors of its Hugging Face directory; packed ones are read as by others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from gguf import GGMLQuantizationType
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

from tests import architectures
from tests.architectures import ARCHITECTURES
from tests.gguf_files import F32, Q8_0, write_gguf
from tests.samples import CPU, random_ids
from tissu_core.checkpoint.gguf.model import GgufModel
from tissu_core.checkpoint.model_directory import load_model
from tissu_core.errors import InputError
from tissu_core.text.tokenizer import Tokenizer

CASES = {name: each.gguf for name, each in ARCHITECTURES.items() if each.gguf is not None}


@pytest.fixture
def saved(tmp_path: Path, tiny_tokenizer: Tokenizer) -> Callable[..., tuple[Path, Path]]:
    """Saves a random model as directory and as GGUF."""

    def save(name: str, kind: GGMLQuantizationType = F32) -> tuple[Path, Path]:
        directory, file = tmp_path / "theirs", tmp_path / "model.gguf"
        architectures.save(name, directory, tiny_tokenizer)
        write_gguf(file, directory, CASES[name], tokenizer=tiny_tokenizer, kind=kind)
        return directory, file

    return save


@pytest.mark.parametrize("name", CASES)
def test_tensors_are_those_of_the_directory(
    name: str, saved: Callable[..., tuple[Path, Path]]
) -> None:
    directory, file = saved(name)
    tensors = load_file(directory / "model.safetensors")
    model = GgufModel.open(file)
    found = {name: model.read(name) for name in model.tensors}
    assert found.keys() == tensors.keys()
    for key, tensor in tensors.items():
        torch.testing.assert_close(found[key], tensor, rtol=0, atol=2e-7, msg=key)


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_logits_of_packed_weights_are_those_of_another_reader(
    name: str, saved: Callable[..., tuple[Path, Path]]
) -> None:
    """transformers opens the same file with code of its own."""
    directory, file = saved(name, kind=Q8_0)
    theirs = AutoModelForCausalLM.from_pretrained(directory).eval()
    read = load_gguf_checkpoint(str(file), return_tensors=True, model_to_load=theirs)
    theirs.load_state_dict(read["tensors"])
    ours = load_model(file, CPU).model
    assert GgufModel.open(file).tensors["model.layers.0.mlp.up_proj.weight"].dtype == "Q8_0"
    ids = random_ids(2, 40)
    with torch.no_grad():
        assert (ours(ids) - theirs(ids).logits).abs().max() < 1e-4


def test_rope_factors_of_llama3_are_told_as_their_rule(
    saved: Callable[..., tuple[Path, Path]], tmp_path: Path
) -> None:
    from gguf import GGUFWriter
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    from tests.gguf_files import close

    rule = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = transformers.LlamaConfig(
        max_position_embeddings=16_384,
        head_dim=64,
        rope_parameters=rule | {"rope_theta": 5e5},
    )
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, CPU)
    plain = 5e5 ** -(torch.arange(0, 64, 2) / 64)
    for factors, is_known in ((plain / scaled, True), (plain / scaled + 0.01, False)):
        path = tmp_path / "scaled.gguf"
        writer = GGUFWriter(path, "llama")
        for key in ("embedding_length", "feed_forward_length", "context_length"):
            writer.add_uint32(f"llama.{key}", 256)
        writer.add_uint32("llama.block_count", 1)
        writer.add_uint32("llama.attention.head_count", 4)
        writer.add_float32("llama.rope.freq_base", 5e5)
        for name in ("token_embd", "blk.0.attn_norm"):
            writer.add_tensor(f"{name}.weight", torch.zeros(2, 256).numpy())
        writer.add_tensor("rope_freqs.weight", factors.float().numpy())
        close(writer)
        if is_known:
            found = GgufModel.open(path).table["rope_scaling"]
            assert found == rule | {"factor": pytest.approx(8.0)}
        else:
            with pytest.raises(InputError, match=r"rope_freqs\.weight is 1\.01 at 0"):
                GgufModel.open(path)
