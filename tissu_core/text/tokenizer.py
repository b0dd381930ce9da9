"""A tokenizer as the files of a Hugging Face directory hold it."""

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tissu_core.errors import InputError
from tissu_core.storage import is_sealed, read_json, verify, write_json
from tissu_core.text.chat_template import Message, render_chat
from tissu_core.text.special_tokens import END_OF_TEXT, PAD
from tissu_core.text.splits import byte_spellings

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
CHAT_TEMPLATE_FILE = "chat_template.jinja"


class Tokenizer:
    """Encodes text as text: what spells a control token stays text; every string round-trips."""

    def __init__(self, backend: "Backend", config: dict[str, Any] | None = None) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True  # "<|endoftext|>" in a text is thirteen letters
        self.backend.no_truncation()  # a foreign file may ask for either
        self.backend.no_padding()
        self.config = config or _default_config()
        self.chat_template: str | None = self.config.get("chat_template")

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
            verify(directory, only=(TOKENIZER_FILE, TOKENIZER_CONFIG_FILE))
        try:
            backend = Backend.from_file(str(path))
        except Exception as error:
            raise InputError(
                f"{path} is no tokenizer: {error}", hint="use another model"
            ) from error
        config_path = directory / TOKENIZER_CONFIG_FILE
        config = read_json(config_path) if config_path.is_file() else None
        tokenizer = cls(backend, config)
        template = directory / CHAT_TEMPLATE_FILE
        if template.is_file():
            tokenizer.chat_template = template.read_text("utf-8")
            tokenizer.config["chat_template"] = tokenizer.chat_template
        return tokenizer

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

    def encode(self, text: str) -> list[int]:
        """Ids of ``text``, with nothing added."""
        return list(self.backend.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """``encode`` of many texts on all processors."""
        return [e.ids for e in self.backend.encode_batch_fast(texts, add_special_tokens=False)]

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a conversation in the model's template, ready for the reply."""
        if self.chat_template is None:
            raise InputError("this model has no chat template", hint="tissu generate")
        ids: list[int] = []
        for piece, is_control in render_chat(
            self.chat_template, messages, tuple(self.control_tokens), self.config
        ):
            ids += [self.control_tokens[piece]] if is_control else self.encode(piece)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, without control tokens; bytes that are no text become U+FFFD."""
        return self.backend.decode(list(ids), skip_special_tokens=True)

    def spelling(self, token_id: int) -> str:
        """How the vocabulary writes a token."""
        return str(self.backend.id_to_token(token_id))

    def ids_beginning(self, spelling: str) -> list[int]:
        """Ids of text whose spelling begins so; control tokens are never among them."""
        following = self._text_spellings[bisect_left(self._text_spellings, (spelling,)) :]
        return sorted(
            id for _, id in takewhile(lambda pair: pair[0].startswith(spelling), following)
        )

    @cached_property
    def _text_spellings(self) -> list[tuple[str, int]]:
        """Tokens of text in the order of their spellings, so that none is looked at in vain."""
        vocabulary = self.backend.get_vocab(with_added_tokens=False)
        return sorted(pair for pair in vocabulary.items() if pair[0] not in self.control_tokens)

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


def _default_config() -> dict[str, Any]:
    return {
        # Another class makes transformers rebuild the pre-tokenizer, and the ids differ.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": END_OF_TEXT,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": False,
    }
