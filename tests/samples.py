"""Text and tiny models that many tests read."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from tissu_core.checkpoint.model_directory import LoadedModel
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.model import ModelConfig
from tissu_core.decoding.generate import decode
from tissu_core.decoding.row import Choice, Row
from tissu_core.evals.perplexity import ScoredText, TextScorer
from tissu_core.models.build import build_model
from tissu_core.models.decoder import Decoder
from tissu_core.text.tokenizer import Tokenizer

CPU = torch.device("cpu")
VOCAB_SIZE = 320

STORY = """\
The weaver set the loom beside the window, where the light stayed longest. She counted the threads
twice, once for the pattern and once for luck, and then she began.

By noon the cloth was as wide as her two hands. "It's only cloth," she said, "but it'll hold." The
children asked what it was for; she didn't say. In 1874 her grandmother had woven 312 metres of it.

When the rain came, nobody in the house was surprised. They'd seen the clouds gather over the hill
since morning, and the swallows flew low. The weaver moved the loom, one leg at a time, and went on.

Naïve façades, coöperation, Straße, señor: every language leaves its own threads in the cloth.
"""

MIXED_TEXTS = (
    "Plain words, 42 numbers, and don't forget it'll work.",
    "織物は糸からできている。窓のそばに機を置いた。",
    "한국어와 العربية and עברית on one line",
    "emoji 🧵🪡 family 👩‍👩‍👧‍👦 flag 🇨🇭 skin 👍🏽",
    "first\r\nsecond\r\n\r\nthird\rfourth\n",
    "  leading, trailing  \t tabs\t\n\n\n   ",
    "e\u0301 and \u00e9 stay different; \u200bzero width; \ufeffmark",
    "NUL \x00 and BEL \x07 and DEL \x7f",
    "<|endoftext|> spelled out, and <|im_end|> too",
    "",
)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_config(**changes: object) -> ModelConfig:
    """Two layers of 32 channels; ``changes`` replace single numbers."""
    shape: dict[str, object] = {
        "vocab_size": VOCAB_SIZE,
        "hidden_size": 32,
        "intermediate_size": 88,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 64,
    }
    return ModelConfig(**(shape | changes))  # type: ignore[arg-type]


def make_model(config: ModelConfig, seed: int = 0) -> Decoder:
    """A model in which every matrix and norm does something: fresh ones begin as the identity."""
    model = build_model(config, device=CPU, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.15, generator=generator)
            else:
                parameter.uniform_(0.7, 1.3, generator=generator)
    return model.eval()


def random_ids(*shape: int, vocab_size: int = VOCAB_SIZE, seed: int = 0) -> torch.Tensor:
    """Ids of ordinary tokens, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(16, vocab_size, shape, generator=generator)


def iter_choices(
    model: Decoder, prompt_ids: Sequence[int], config: DecodingConfig, max_tokens: int
) -> Iterator[Choice]:
    """What is chosen after one prompt."""
    return (choice for _, choice in decode(model, [Row(prompt_ids, config, max_tokens)]))


def score_texts(
    model: Decoder, tokenizer: Tokenizer, texts: Sequence[str], stride: int
) -> list[ScoredText]:
    """Texts as documents, each scored."""
    scorer = TextScorer(LoadedModel(model, tokenizer, Path("tiny"), frozenset()), stride)
    found = scorer.iter_scored((text, 0) for text in texts)
    return [scored for scored in found if isinstance(scored, ScoredText)]
