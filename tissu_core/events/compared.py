"""What is found by holding models against each other, and by looking for what one knows least."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCompared:
    """One of several models on the same text. Units: nats per token, bits per UTF-8 byte."""

    model: str
    """As it was named."""
    path: str
    num_parameters: int
    num_bytes: int
    """Of its files."""
    weights: str
    """Their formats, of most bytes first."""
    vocab_size: int
    context_tokens: int
    stride: int
    loss: float
    perplexity: float
    bits_per_byte: float
    num_tokens: int
    tokens_per_byte: float
    difference: float
    """Of its bits per byte to those of the first model; less is better."""
    low: float | None
    """Between this and ``high`` the difference lies; None where there is too little text."""
    high: float | None
    is_beyond_chance: bool
    prefill_tokens_per_second: float
    """As it read this text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDiffers:
    """A setting that the models do not share, with the value of each; empty where it has none."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOfModel:
    """What a model made of a suite's items. All in [-1, 1]; more is better."""

    value: float
    """As ``SuiteScored`` has it: a mean over items, or of "bleu" the BLEU of all replies."""
    difference: float
    """To the first model."""
    low: float | None
    """Between this and ``high`` the difference lies; None where there are too few items."""
    high: float | None
    is_beyond_chance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteCompared:
    """A suite put to all models, of which those items count that each could read."""

    suite: str
    metric: str
    sha256: str
    """Of the suite's file."""
    num_items: int
    chance: float
    """What guessing comes to; 0 where nothing is to choose from."""
    models: tuple[SuiteOfModel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsCompared:
    """Models on the same text, each against the first."""

    models: tuple[ModelCompared, ...]
    num_bytes: int
    num_documents: int
    unit: Literal["documents", "passages"]
    """What was drawn again and again to find the intervals."""
    num_units: int
    unit_bytes: int | None
    """Of a passage; None where whole documents are drawn."""
    resamples: int
    confidence: float
    seed: int
    have_one_tokenizer: bool
    """Whether their losses and perplexities per token compare."""
    settings: tuple[SettingDiffers, ...]
    suites: tuple[SuiteCompared, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageScored:
    """A passage of a document and what its tokens cost. Units: bits per UTF-8 byte, nats."""

    bits_per_byte: float
    loss: float
    path: str
    document: int
    """Its number in the file, from 1: the text of a line of JSON, a megabyte of a long file."""
    line: int | None
    """Of the file, where the passage begins; None where it is not a text's own."""
    byte: int
    """Of the document, where it begins."""
    num_tokens: int
    num_bytes: int
    tokens: tuple[str, ...]
    losses: tuple[float | None, ...]
    """None of a control token, which is read and not scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstFound:
    """The passages of a text that cost a model most, the worst first."""

    model: str
    loss: float
    bits_per_byte: float
    num_tokens: int
    num_bytes: int
    num_documents: int
    num_passages: int
    passage_tokens: int
    context_tokens: int
    stride: int
    passages: tuple[PassageScored, ...]


CompareEvent: TypeAlias = ModelsCompared | StageAdvanced | Noticed | FileSkipped
ErrorsEvent: TypeAlias = WorstFound | StageAdvanced | Noticed | FileSkipped
