"""A tokenizer as the files of a Hugging Face directory hold it."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tissu_core.errors import InputError
from tissu_core.storage import is_sealed, read_json, verify, write_json
from tissu_core.text.chat_template import Message, Piece, render_chat, render_chat_spans
from tissu_core.text.special_tokens import END_OF_TEXT, PAD
from tissu_core.text.splits import byte_spellings
from tissu_core.text.template_files import (
    CHAT_TEMPLATE_FILE,
    default_template,
    named_templates,
    template_files,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"


class Tokenizer:
    """Encodes text as text: what spells a control token stays text; every string round-trips."""

    def __init__(self, backend: "Backend", config: dict[str, Any] | None = None) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True  # "<|endoftext|>" in a text is thirteen letters
        self.backend.no_truncation()  # a foreign file may ask for either
        self.backend.no_padding()
        self.config = config or _default_config()

    @classmethod
    def load(cls, directory: Path) -> "Tokenizer":
        """The tokenizer of a model's directory, or of one of its own.

        Raises:
            InputError: If ``tokenizer.json`` is missing or unreadable.
            IntegrityError: If its directory is sealed and its files are not those sealed.
        """
        from tokenizers import Tokenizer as Backend

        path = directory / TOKENIZER_FILE
        if not path.is_file():
            raise InputError(f"{directory} has no {TOKENIZER_FILE}", hint="name a model directory")
        if is_sealed(directory):
            verify(directory, only=(TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, CHAT_TEMPLATE_FILE))
        try:
            backend = Backend.from_file(str(path))
        except Exception as error:
            raise InputError(
                f"{path} is no tokenizer: {error}", hint="use another model"
            ) from error
        config_path = directory / TOKENIZER_CONFIG_FILE
        config = read_json(config_path) if config_path.is_file() else None
        return cls(backend, _with_template_files(config or _default_config(), directory))

    def save(self, directory: Path, context_tokens: int | None = None) -> None:
        """Write the files that transformers' ``AutoTokenizer`` reads."""
        # `encode_special_tokens` is not part of the file, so other programs read it as usual.
        (directory / TOKENIZER_FILE).write_text(self.backend.to_str(pretty=True), encoding="utf-8")
        limit = {} if context_tokens is None else {"model_max_length": context_tokens}
        write_json(directory / TOKENIZER_CONFIG_FILE, {**self.config, **limit})

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest id; a foreign vocabulary may leave ids out."""
        return 1 + max(self.backend.get_vocab(with_added_tokens=True).values())

    @cached_property
    def sha256(self) -> str:
        """A hash of the vocabulary and its rules, however the file spells them."""
        return hashlib.sha256(self.backend.to_str().encode()).hexdigest()

    @property
    def is_byte_level(self) -> bool:
        """Whether tokens are sequences of bytes, so that any text is its tokens."""
        from tokenizers import decoders

        return isinstance(self.backend.decoder, decoders.ByteLevel)

    @property
    def is_exportable(self) -> bool:
        """Whether programs with tokenizers of their own know this kind."""
        return bool(self.config.get("is_exportable", True))

    @cached_property
    def end_id(self) -> int:
        """The id that ends a text, and leads one."""
        token = self.config.get("eos_token") or END_OF_TEXT
        token = token["content"] if isinstance(token, dict) else token
        found = self.backend.token_to_id(token)
        if found is None:
            raise InputError(
                f"the tokenizer has no token {token!r} to end a text",
                hint=f'name one of its own as "eos_token" in its {TOKENIZER_CONFIG_FILE}',
            )
        return found

    @cached_property
    def control_tokens(self) -> dict[str, int]:
        """Spelling and id of every control token."""
        added = self.backend.get_added_tokens_decoder()
        return {token.content: id for id, token in added.items() if token.special}

    @cached_property
    def chat_templates(self) -> dict[str, str]:
        """The model's chat templates by name."""
        return named_templates(self.config.get("chat_template"))

    @cached_property
    def chat_template(self) -> str | None:
        """The template that conversations are put into; another one may be set."""
        return default_template(self.chat_templates)

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``, with nothing added."""
        return list(self.backend.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``encode`` of many texts on all processors."""
        return [e.ids for e in self.backend.encode_batch_fast(texts, add_special_tokens=False)]

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a conversation in the model's template, ready for the reply."""
        pieces = self.chat_pieces(messages)
        return [id for ids in self.encode_pieces(pieces) for id in ids]

    def encode_chat_spans(self, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
        """Ids of a whole conversation, and which of them the assistant writes.

        Raises:
            InputError: As ``render_chat_spans``.
        """
        pieces = [*render_chat_spans(self._template(), messages, *self._controls())]
        marked = [
            (id, piece.is_assistant)
            for piece, ids in zip(pieces, self.encode_pieces(pieces), strict=True)
            for id in ids
        ]
        return [id for id, _ in marked], [is_assistant for _, is_assistant in marked]

    def chat_pieces(self, messages: Sequence[Message]) -> list[Piece]:
        """The prompt that a conversation makes, control tokens told from text."""
        return [*render_chat(self._template(), messages, *self._controls())]

    def encode_pieces(self, pieces: Sequence[Piece]) -> Iterator[list[int]]:
        """Ids of each piece; only the first is the beginning of a text."""
        for number, piece in enumerate(pieces):
            if piece.is_control:
                yield [self.control_tokens[piece.text]]
            elif number == 0:
                yield self.encode(piece.text)
            else:
                with self._inside_text():
                    yield self.encode(piece.text)

    def _template(self) -> str:
        if self.chat_template is None:
            raise InputError("this model has no chat template", hint="tissu generate")
        return self.chat_template

    def _controls(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        return tuple(self.control_tokens), self.config

    @contextmanager
    def _inside_text(self) -> Iterator[None]:
        """SentencePiece puts a space before the first word of a text, and of nothing else."""
        from tokenizers import pre_tokenizers

        metaspace = self.backend.pre_tokenizer
        if (
            not isinstance(metaspace, pre_tokenizers.Metaspace)
            or metaspace.prepend_scheme != "first"
        ):
            yield
            return
        metaspace.prepend_scheme = "never"
        try:
            yield
        finally:
            metaspace.prepend_scheme = "first"

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, without control tokens; bytes that are no text become U+FFFD."""
        return self.backend.decode(list(ids), skip_special_tokens=True)

    def spelling(self, token_id: int) -> str:
        """How the vocabulary writes a token."""
        return str(self.backend.id_to_token(token_id))

    def ids_beginning(self, spelling: str) -> list[int]:
        """Ids of text whose spelling begins so; control tokens are never among them."""
        vocabulary = self.backend.get_vocab(with_added_tokens=False)
        return sorted(
            id
            for name, id in vocabulary.items()
            if name.startswith(spelling) and name not in self.control_tokens
        )

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of text that each id stands for; none for control tokens."""
        bytes_of = {spelling: byte for byte, spelling in enumerate(byte_spellings())}
        added = self.backend.get_added_tokens_decoder()
        pieces = [b""] * self.vocab_size
        for spelling, id in self.backend.get_vocab(with_added_tokens=True).items():
            if id in added:
                pieces[id] = b"" if added[id].special else spelling.encode()
            elif self.is_byte_level:
                pieces[id] = bytes(map(bytes_of.__getitem__, spelling))
            else:
                pieces[id] = spelling.replace("▁", " ").encode()  # SentencePiece's space
        return pieces

    def token_bytes(self) -> list[int]:
        """How many bytes of text each id stands for; 0 for control tokens."""
        return [len(piece) for piece in self.pieces]


def _with_template_files(config: dict[str, Any], directory: Path) -> dict[str, Any]:
    """A configuration that also holds the templates of files, as a copy of the model needs it."""
    files = template_files(directory)
    if not files:
        return config
    named = named_templates(config.get("chat_template")) | files
    listed = [{"name": name, "template": template} for name, template in named.items()]
    return {**config, "chat_template": listed if len(listed) > 1 else default_template(named)}


def _default_config() -> dict[str, Any]:
    return {
        # Another class makes transformers rebuild the pre-tokenizer, and the ids differ.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": END_OF_TEXT,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": False,
    }
