"""Gemma 2, Gemma 3 and Mixtral have the logits of transformers, in every way of reading."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3Config,
    Gemma3ForCausalLM,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    SiglipVisionConfig,
)

from tests.samples import CPU, iter_choices, random_ids
from tissu_core.checkpoint.model_directory import from_hugging_face, load_model, write_model_files
from tissu_core.config.decoding import DecodingConfig
from tissu_core.errors import InputError
from tissu_core.models.count import num_parameters
from tissu_core.models.decoder import Decoder
from tissu_core.text.tokenizer import Tokenizer
from tissu_core.training.objectives.next_token import next_token

SIZES = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.15,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
GEMMA = SIZES | {"head_dim": 12, "query_pre_attn_scalar": 20, "sliding_window": 7}
CAPS = {"attn_logit_softcapping": 0.8, "final_logit_softcapping": 3.0}
PATTERN = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
STRETCHED = {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 5000.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
}
SIGHT = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}


def whole_gemma3() -> PreTrainedModel:
    text = Gemma3TextConfig(**GEMMA, layer_types=PATTERN, rope_parameters=STRETCHED)
    sight = SiglipVisionConfig(**SIGHT)
    config = Gemma3Config(text_config=text, vision_config=sight, mm_tokens_per_image=4)
    return Gemma3ForConditionalGeneration(config)


THEIRS = {
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**GEMMA, **CAPS)),
    "gemma2 uncapped": lambda: Gemma2ForCausalLM(
        Gemma2Config(**GEMMA, attn_logit_softcapping=None, final_logit_softcapping=None)
    ),
    "gemma3_text": lambda: Gemma3ForCausalLM(
        Gemma3TextConfig(**GEMMA, layer_types=PATTERN, rope_parameters=STRETCHED)
    ),
    "gemma3_text local": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**GEMMA)),
    "gemma3": whole_gemma3,
    "mixtral": lambda: MixtralForCausalLM(
        MixtralConfig(**SIZES, num_local_experts=4, num_experts_per_tok=2)
    ),
    "mixtral windowed": lambda: MixtralForCausalLM(
        MixtralConfig(**SIZES, num_local_experts=3, num_experts_per_tok=1, sliding_window=7)
    ),
}


@pytest.fixture(params=THEIRS)
def pair(
    request: pytest.FixtureRequest, tiny_tokenizer: Tokenizer, tmp_path: Path
) -> tuple[Decoder, PreTrainedModel]:
    """A model that transformers saved, as read here and as it was."""
    theirs: PreTrainedModel = THEIRS[request.param]().eval()
    theirs.set_attn_implementation("eager")
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if parameter.ndim == 1 and "norm" in name:
                parameter += torch.rand(parameter.shape, generator=generator) - 0.4
    theirs.save_pretrained(tmp_path)
    tiny_tokenizer.save(tmp_path, 64)
    return load_model(tmp_path, CPU).model, theirs


@torch.no_grad()
def logits_of(theirs: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = theirs(ids).logits
    assert logits.std() > 0.3
    return logits


def test_logits_are_theirs_at_once_in_training_and_token_by_token(
    pair: tuple[Decoder, PreTrainedModel],
) -> None:
    model, theirs = pair
    ids = random_ids(2, 40)
    expected = logits_of(theirs, ids)
    with torch.enable_grad():
        trained = model.train()(ids).detach()
    model.eval()
    cache = model.new_cache()
    with torch.no_grad():
        used = model(ids)
        parts = [model(part, cache) for part in ids.split([9, *[1] * 31], dim=1)]
    for logits in (trained, used, torch.cat(parts, dim=1)):
        assert (logits - expected).abs().max() < 1e-4


def test_greedy_ids_are_theirs(pair: tuple[Decoder, PreTrainedModel]) -> None:
    model, theirs = pair
    theirs.generation_config.eos_token_id = None
    theirs.generation_config.pad_token_id = 1
    prompt = random_ids(1, 12, seed=4)
    config = DecodingConfig(greedy=True)
    ours = [choice.token_id for choice in iter_choices(model, prompt[0].tolist(), config, 40)]
    mask = torch.ones_like(prompt)
    expected = theirs.generate(
        prompt, attention_mask=mask, do_sample=False, temperature=None, max_new_tokens=40
    )
    assert ours == expected[0, 12:].tolist()


def test_gradients_are_theirs(pair: tuple[Decoder, PreTrainedModel]) -> None:
    model, theirs = pair
    windows = random_ids(3, 33)
    next_token(model, windows).loss_sum.backward()
    logits = theirs(windows[:, :-1]).logits
    torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), windows[:, 1:].flatten(), reduction="sum"
    ).backward()
    ours = model.model.embed_tokens.weight.grad
    expected = theirs.get_input_embeddings().weight.grad
    assert ours is not None
    torch.testing.assert_close(ours, expected, atol=2e-3, rtol=1e-3)


def test_what_is_saved_is_read_by_transformers_and_here(
    pair: tuple[Decoder, PreTrainedModel], tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    model, theirs = pair
    target = tmp_path / "saved"
    target.mkdir()
    write_model_files(target, model, tiny_tokenizer)
    kind = json.loads((target / "config.json").read_text())["model_type"]
    assert kind == theirs.config.get_text_config().model_type
    ids = random_ids(2, 40)
    reopened = AutoModelForCausalLM.from_pretrained(target).eval()
    with torch.no_grad():
        assert (reopened(ids).logits - logits_of(theirs, ids)).abs().max() < 1e-4
    loaded = load_model(target, CPU).model
    assert loaded.config == model.config
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, atol=6e-8, rtol=0)


PUBLISHED = {
    "gemma-2-27b": {
        "model_type": "gemma2",
        "attn_logit_softcapping": 50.0,
        "cache_implementation": "hybrid",
        "final_logit_softcapping": 30.0,
        "head_dim": 128,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 4608,
        "intermediate_size": 36864,
        "max_position_embeddings": 8192,
        "num_attention_heads": 32,
        "num_hidden_layers": 46,
        "num_key_value_heads": 16,
        "query_pre_attn_scalar": 144,
        "rope_theta": 10000.0,
        "sliding_window": 4096,
        "vocab_size": 256000,
    },
    "gemma-3-1b": {
        "model_type": "gemma3_text",
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 1152,
        "intermediate_size": 6912,
        "max_position_embeddings": 32768,
        "num_attention_heads": 4,
        "num_hidden_layers": 26,
        "num_key_value_heads": 1,
        "query_pre_attn_scalar": 256,
        "rope_local_base_freq": 10000,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
        "vocab_size": 262144,
    },
    "gemma-3-4b": {
        "model_type": "gemma3",
        "text_config": {
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "model_type": "gemma3_text",
            "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window": 1024,
        },
    },
    "mixtral-8x7b": {
        "model_type": "mixtral",
        "hidden_act": "silu",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "num_attention_heads": 32,
        "num_experts_per_tok": 2,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "rope_theta": 1000000.0,
        "sliding_window": None,
        "vocab_size": 32000,
    },
}
PARAMETERS = {  # as their pages say; of gemma-3-4b without its eyes
    "gemma-2-27b": 27_227_128_320,
    "gemma-3-1b": 999_885_952,
    "gemma-3-4b": 3_880_263_168,
    "mixtral-8x7b": 46_702_792_704,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_a_published_file_leaves_out_means_what_it_means_to_transformers(name: str) -> None:
    table = PUBLISHED[name]
    theirs = AutoConfig.for_model(**table).to_dict()
    config = from_hugging_face(table, Path(name))
    assert config == from_hugging_face(theirs, Path(name))
    assert num_parameters(config) == PARAMETERS[name]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        ({"use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ({"hidden_activation": "silu"}, "hidden_activation"),
        ({"layer_types": ["chunked_attention"] * 26}, "chunked_attention"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "dynamic"),
        ({"query_pre_attn_scalar": 0}, "query_pre_attn_scalar"),
        ({"query_pre_attn_scalar": "256"}, "query_pre_attn_scalar"),
        ({"rope_local_base_freq": "10000"}, "rope_local_base_freq"),
        ({"sliding_window_pattern": 0}, "sliding_window_pattern"),
        ({"head_dim": None}, "head_dim"),
        ({"model_type": "gemma3"}, "text_config"),
        ({"model_type": "gemma3", "text_config": {}}, "hidden_size"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(changes: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word):
        from_hugging_face({**PUBLISHED["gemma-3-1b"], **changes}, Path("here"))
