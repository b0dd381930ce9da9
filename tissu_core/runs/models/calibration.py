"""The text on which a model's weights are rounded."""

from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING

from tissu_core.config.data import DataConfig
from tissu_core.data.corpus import BadLines, iter_corpus, read_corpus
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.runs.home import cache_directory

if TYPE_CHECKING:
    from torch import Tensor

    from tissu_core.checkpoint.model_directory import LoadedModel
    from tissu_core.models.score import Score

TOKENS = 16_384
"""Read for calibration; from the 128 times 2,048 of the GPTQ paper a small model gains no more."""
WINDOW = 512
LEAST = 4
"""Windows below which nothing is learned of a layer's inputs."""
_STRANGE = 1.5
"""How many times the bits of the measured text tell of another kind of text."""


def require_calibration(data: DataConfig, method: str) -> None:
    """Refuse a method that reads without a text to read.

    Raises:
        ConfigError: Names the option.
    """
    if method != "rtn" and not data.corpus:
        raise ConfigError(
            f"--method {method} looks at what layers are given while they read, and there is no "
            "text to read",
            field="calib",
            hint="--calib DATA, some text like that the model is for, or --method rtn",
        )


def read_calibration(
    loaded: "LoadedModel", data: DataConfig
) -> Generator[StageAdvanced | Noticed | FileSkipped, None, list["Tensor"]]:
    """Rows of ids (1, T), spread over the corpus of ``data``.

    Raises:
        InputError: If it cannot be read, or is too short.
    """
    window = min(WINDOW, loaded.model.config.max_position_embeddings)
    rows, num_found = yield from read_windows(loaded, data, window, TOKENS // window)
    if len(rows) < LEAST:
        raise InputError(
            f"the calibration text has {len(rows)} windows of {window} tokens, and the fewest are "
            f"{LEAST}",
            hint="--calib with more text, or --method rtn",
        )
    if num_found < TOKENS // 2:
        yield Noticed(
            level="warning",
            text=f"the calibration text has {num_found:,} tokens; {TOKENS:,} are better",
        )
    return rows


def read_windows(
    loaded: "LoadedModel", data: DataConfig, window: int, count: int, *, fewest: int | None = None
) -> Generator[StageAdvanced | Noticed | FileSkipped, None, tuple[list["Tensor"], int]]:
    """Up to ``count`` whole windows of ids (1, T), spread over a corpus, and its tokens in such.

    With ``fewest`` tokens, shorter ends of documents count too, and up to ``count * window`` tokens
    are given.

    Raises:
        InputError: If it cannot be read.
    """
    import torch

    files = yield from read_corpus(data, cache_directory())
    spread, least = Spread(count * window), fewest or window
    bad_lines, num_documents = BadLines(), 0
    tokenizer = loaded.tokenizer
    for text, _ in iter_corpus(files, bad_lines):
        num_documents += 1
        ids = [tokenizer.start_id, *tokenizer.encode(text)]
        for begin in range(0, len(ids) - least + 1, window):
            spread.add(ids[begin : begin + window])
    yield from bad_lines.judge(num_documents)
    device = loaded.model.device
    return [torch.tensor([row], device=device) for row in spread.chosen()], spread.num_found


class Spread:
    """Windows spread evenly over a text of any length, of which few are held at a time.

    They are every n-th of all; whenever those held are more than twice what is wanted, every other
    one is let go, and ``n`` doubles.
    """

    def __init__(self, num_tokens: int) -> None:
        """``num_tokens`` are wanted."""
        self._wanted, self._every, self._num_seen = num_tokens, 1, 0
        self._held, self._num_held = list[list[int]](), 0
        self.num_found = 0
        """Tokens of all windows."""

    def add(self, ids: list[int]) -> None:
        """The next window of the text."""
        self.num_found += len(ids)
        if self._num_seen % self._every == 0:
            self._held.append(ids)
            self._num_held += len(ids)
        self._num_seen += 1
        if self._num_held > 2 * self._wanted:
            self._held, self._every = self._held[::2], 2 * self._every
            self._num_held = sum(map(len, self._held))

    def chosen(self) -> list[list[int]]:
        """As many, in their order, as have about the tokens that are wanted."""
        held = len(self._held)
        count = min(held, self._wanted * held // max(1, self._num_held))
        return [self._held[number * held // count] for number in range(count)]


def tell_of_strange_text(
    loaded: "LoadedModel", rows: Sequence["Tensor"], measured: "Score | None"
) -> Iterator[Noticed]:
    """A word where the model knows the calibration text much less than what it is measured on."""
    if not rows or measured is None:
        return
    import torch

    from tissu_core.models.score import Score, score_windows

    token_bytes = torch.tensor(loaded.tokenizer.token_bytes(), device=loaded.model.device)
    parts = [score_windows(loaded.model, row, token_bytes) for row in rows[:LEAST]]
    bits, expected = sum(parts, Score()).bits_per_byte, measured.bits_per_byte
    if bits > _STRANGE * expected:
        yield Noticed(
            level="warning",
            text=f"the calibration text costs the model {bits:.2f} bits per byte, and what it is "
            f"measured on {expected:.2f}: is it another language, or another kind of text?",
        )
