"""What a model on disk is to those who read it, whatever kind of file it lies in."""

from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tissu_core.events.shared import Noticed

if TYPE_CHECKING:
    from torch import Tensor

    from tissu_core.text.tokenizer import Tokenizer


class TensorFacts(Protocol):
    """What a file says of a tensor before it is read."""

    @property
    def dtype(self) -> str:
        """As the file spells it: F32, BF16, Q4_K."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""

    @property
    def num_bytes(self) -> int:
        """Its size in the file."""

    @property
    def num_loaded_bytes(self) -> int:
        """Its size in memory."""


class StoredModel(Protocol):
    """A model of which is read what is asked for, by the names of its family at Hugging Face.

    Raises, in every method:
        InputError: If a file is missing, damaged or of a kind that tissu does not read.
    """

    @property
    def path(self) -> Path:
        """The directory or file."""

    @property
    def table(self) -> dict[str, Any]:
        """Its ``config.json``."""

    @property
    def tensors(self) -> Mapping[str, TensorFacts]:
        """What it holds by name; only headers are read."""

    def read(self, name: str) -> "Tensor":
        """One tensor, on the CPU."""

    def iter_load(self) -> Generator[int, None, dict[str, "Tensor"]]:
        """All tensors that the model is built of, on the CPU, in fp32 but for packed matrices.

        Beside ``NAME.weight`` of whole numbers stand ``NAME.weight_scale`` and ``weight_min``.
        Yields the number of bytes read since the last one.
        """

    def notices(self) -> tuple[Noticed, ...]:
        """What a person should know of what is read."""

    def end_ids(self) -> Iterable[int]:
        """Tokens that end a reply beside the tokenizer's own."""

    def load_tokenizer(self) -> "Tokenizer":
        """What makes its ids."""
