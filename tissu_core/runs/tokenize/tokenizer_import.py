"""The verb tokenize import: a tokenizer that another program made, as one of tissu's."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tissu_core import __version__
from tissu_core.errors import ConfigError, InputError
from tissu_core.events.shared import Noticed
from tissu_core.runs.catalog import find_model
from tissu_core.runs.new_directory import new_directory
from tissu_core.storage import read_json, sealed_directory, sha256_file
from tissu_core.text.backend import named_failures, read_backend, read_bounded
from tissu_core.text.imported.sentencepiece import tokenizer_from_sentencepiece
from tissu_core.text.imported.tiktoken import ENCODINGS, Encoding, tokenizer_from_ranks
from tissu_core.text.tokenizer import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, Tokenizer
from tissu_core.text.tokenizer_config import tokenizer_config, with_template_files

_SPECIAL_TOKENS_FILE = "special_tokens_map.json"
_FILES = (TOKENIZER_FILE, "tokenizer.model", "spiece.model", "*.tiktoken")
_ENDS = ("<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>", "<|im_end|>", "[EOS]")
_RANK = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")
_TRIED = "The weaver counted 12 threads.\n\tNaïve 織物 🧵 \x00</s><|endoftext|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerImported:
    """A tokenizer of another program is on disk, sealed."""

    directory: str
    source: str
    kind: str
    vocab_size: int
    start_token: str
    end_token: str
    is_exact: bool
    """Whether every text comes back from its ids as it was."""


ImportEvent: TypeAlias = Noticed | TokenizerImported


def import_tokenizer(given: str, out: Path, pattern: str | None) -> Iterator[ImportEvent]:
    """Read a tokenizer from a file, a directory or a model and seal it in a new directory.

    Files are told apart by what they hold: ``tokenizer.json``, SentencePiece's ``.model``,
    tiktoken's ranks, for which ``pattern`` is the name of the encoding or the pattern itself.

    Raises:
        ConfigError: If ``out`` is not empty, or a pattern is missing or of no use.
        InputError: If the file is none of these, or damaged; names the byte or line.
    """
    out = new_directory(out)
    source = _find_file(given)
    kind, tokenizer = _read(source, pattern)
    with named_failures(source):
        tokenizer.decode(tokenizer.encode(_TRIED))
        end = tokenizer.spelling(tokenizer.end_id)
    tokenizer.config["tokenizer_class"] = "PreTrainedTokenizerFast"
    tokenizer.config.pop("auto_map", None)  # code, which nothing here runs
    facts: dict[str, object] = {
        "kind": "tokenizer",
        "tissu": __version__,
        "type": "imported",
        "source": {"path": str(source.resolve()), "kind": kind, "sha256": sha256_file(source)},
    }
    with sealed_directory(out, facts) as temporary:
        tokenizer.save(temporary)
    if not tokenizer.is_exact:
        yield Noticed(
            level="info",
            text="this tokenizer does not keep every text as it is (it normalises, or has no token "
            "for some characters); bits per byte count the bytes of the text itself",
        )
    yield TokenizerImported(
        directory=str(out),
        source=str(source),
        kind=kind,
        vocab_size=tokenizer.vocab_size,
        start_token=tokenizer.spelling(tokenizer.start_id),
        end_token=end,
        is_exact=tokenizer.is_exact,
    )


def _find_file(given: str) -> Path:
    path = Path(given).expanduser()
    path = path if path.is_file() else find_model(given)
    if not path.is_dir():
        return path
    found = next((file for name in _FILES for file in sorted(path.glob(name))), None)
    if found is None:
        raise InputError(
            f"{path} has no tokenizer: none of {', '.join(_FILES)}",
            hint="name the file itself",
        )
    return found


def _read(path: Path, pattern: str | None) -> tuple[str, Tokenizer]:
    data = read_bounded(path)
    is_json, is_ranks = data.lstrip()[:1] == b"{", _RANK.match(data) is not None
    kind = "tokenizer.json" if is_json else "tiktoken" if is_ranks else "SentencePiece"
    if pattern is not None and not is_ranks:
        raise ConfigError(
            f"--pattern is for tiktoken's ranks, and {path} is of the kind {kind}",
            field="pattern",
            hint="leave it out",
        )
    encoding = _encoding(path, pattern) if is_ranks else None
    with named_failures(path):
        if encoding:
            tokenizer = tokenizer_from_ranks(data, encoding)
        elif is_json:
            tokenizer = Tokenizer(read_backend(path), tokenizer_config())
            known = (end for end in _ENDS if end in tokenizer.control_tokens)
            tokenizer.config["eos_token"] = next(known, None)
        else:
            tokenizer = tokenizer_from_sentencepiece(data)
    return kind, Tokenizer(tokenizer.backend, tokenizer.config | _facts_beside(path.parent))


def _encoding(path: Path, pattern: str | None) -> Encoding:
    if (found := ENCODINGS.get(pattern or path.stem)) is not None:
        return found
    if pattern is None:
        raise ConfigError(
            f"{path} has tokens alone, not the pattern that splits a text",
            field="pattern",
            hint=f"--pattern {'|'.join(ENCODINGS)}, or the pattern itself",
        )
    from tokenizers import Regex

    try:
        Regex(pattern)
    except Exception as error:
        raise ConfigError(
            f"--pattern is no pattern: {error}", field="pattern", hint=f"one of {list(ENCODINGS)}"
        ) from error
    return Encoding(pattern)


def _facts_beside(directory: Path) -> dict[str, Any]:
    """What the files of a model say of its tokenizer: the tokens' roles, the chat template."""
    facts: dict[str, Any] = {}
    for name in (_SPECIAL_TOKENS_FILE, TOKENIZER_CONFIG_FILE):
        if (directory / name).is_file():
            said = read_json(directory / name).items()
            facts |= {role: value for role, value in said if value is not None}
    return with_template_files(facts, directory)
