"""The tokenizer of a model, wherever it is kept. Imports no torch."""

from pathlib import Path

from tissu_core.checkpoint.gguf.header import is_gguf, read_gguf
from tissu_core.text.imported.gguf import tokenizer_from_gguf
from tissu_core.text.tokenizer import Tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a ``.gguf``, beside a ``.npz``, or of a directory.

    Raises:
        InputError: If there is none, or of a kind that tissu does not read.
        IntegrityError: If its directory is sealed and its files are not those sealed.
    """
    if not path.is_file():
        return Tokenizer.load(path)
    if is_gguf(path):
        return tokenizer_from_gguf(read_gguf(path).metadata)
    return Tokenizer.load(path.parent)
