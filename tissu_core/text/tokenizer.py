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
from tissu_core.text import spelling
from tissu_core.text.backend import read_backend
from tissu_core.text.special_tokens import CHATML, END_OF_TEXT, PAD, TURN_END
from tissu_core.text.template_files import CHAT_TEMPLATE_FILE, default_template, named_templates
from tissu_core.text.tokenizer_config import tokenizer_config, with_template_files

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"


class Tokenizer:
    """Encodes text as text: what spells a control token stays text.

    Byte-level vocabularies and those in SentencePiece's spelling behave alike: ``pieces`` says what
    every id stands for, and all that becomes text is made of it. Where nothing is normalised away
    (``is_exact``) every string round-trips.
    """

    def __init__(self, backend: "Backend", config: dict[str, Any] | None = None) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True  # "<|endoftext|>" in a text is thirteen letters
        self.backend.no_truncation()  # a foreign file may ask for either
        self.backend.no_padding()
        self.config = config or tokenizer_config(pad_token=PAD)

    @classmethod
    def load(cls, directory: Path) -> "Tokenizer":
        """The tokenizer of a model's directory, or of one of its own.

        Raises:
            InputError: If ``tokenizer.json`` is missing or unreadable.
            IntegrityError: If its directory is sealed and its files are not those sealed.
        """
        path = directory / TOKENIZER_FILE
        if not path.is_file():
            raise InputError(
                f"{directory} has no {TOKENIZER_FILE}",
                hint="put the one that it was trained with there, or name a model that has one",
            )
        if is_sealed(directory):
            verify(directory, only=(TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, CHAT_TEMPLATE_FILE))
        backend = read_backend(path)
        config_path = directory / TOKENIZER_CONFIG_FILE
        config = read_json(config_path) if config_path.is_file() else None
        return cls(
            backend, with_template_files(config or tokenizer_config(pad_token=PAD), directory)
        )

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

    @cached_property
    def is_byte_level(self) -> bool:
        """Whether tokens are sequences of bytes by GPT-2's alphabet."""
        return spelling.is_byte_level(self.backend)

    @cached_property
    def drops_first_space(self) -> bool:
        """Whether the space that begins the first token is no part of the text."""
        return spelling.drops_first_space(self.backend)

    @cached_property
    def is_exact(self) -> bool:
        """Whether any text comes back from its ids as it was.

        But for "▁" itself, where that is how the vocabulary writes a space.
        """
        return spelling.is_exact(self.backend)

    @property
    def is_exportable(self) -> bool:
        """Whether programs with tokenizers of their own know this kind."""
        return bool(self.config.get("is_exportable", True))

    @cached_property
    def end_id(self) -> int:
        """The id that ends a text."""
        token = self._name_of("eos_token") or END_OF_TEXT
        found = self.backend.token_to_id(token)
        if found is None:
            raise InputError(
                f"the tokenizer has no token {token!r} to end a text",
                hint=f'name one of its own as "eos_token" in its {TOKENIZER_CONFIG_FILE}',
            )
        return found

    @cached_property
    def bos_id(self) -> int | None:
        """The id that the tokenizer itself puts before a text, as Llama's and Gemma's do.

        That is so where ``add_bos_token`` says it or, where nothing does, the file's own
        post-processor does it. None with others, such as GPT-2's, Qwen's and tissu's.
        """
        is_added = self.config.get("add_bos_token")
        if is_added is None:
            bare, led = (self.backend.encode("a", add_special_tokens=s).ids for s in (False, True))
            return led[0] if led[:1] != bare[:1] else None
        return self._id_of("bos_token") if is_added else None

    @cached_property
    def start_id(self) -> int:
        """The id that a text begins with: ``bos_id``, or what ended the text before it.

        Models without a beginning-of-text token were trained on texts joined by
        ``<|endoftext|>``, which stays what parts texts where another token ends a reply.
        """
        if self.bos_id is not None:
            return self.bos_id
        return self.control_tokens.get(END_OF_TEXT, self.end_id)

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """The ids that end a text or a reply: its end, the start of the next, ChatML's turn end."""
        ends = {self.end_id, self.start_id}
        if self.config.get("chat_template") == CHATML and TURN_END in self.control_tokens:
            ends.add(self.control_tokens[TURN_END])
        return frozenset(ends)

    def document(self, ids: Sequence[int]) -> list[int]:
        """A whole text among others: its ids, where it begins and, if the next does not, ends."""
        end = [] if self.bos_id in (None, self.end_id) else [self.end_id]
        return [self.start_id, *ids, *end]

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

    def encode(self, text: str, *, is_start: bool = True) -> list[int]:
        """Ids of ``text``, with no control token.

        Where the vocabulary has a space before every text, ``is_start=False`` leaves it out: the
        text goes on after another.
        """
        backend = self.backend if is_start else self._continuing
        ids: list[int] = backend.encode(text, add_special_tokens=False).ids
        return self._as_text(text, ids, is_start=is_start)

    def encode_batch(self, texts: Sequence[str], *, is_start: bool = True) -> list[list[int]]:
        """``encode`` of many texts on all processors."""
        backend = self.backend if is_start else self._continuing
        found = backend.encode_batch_fast(texts, add_special_tokens=False)
        return [
            self._as_text(text, encoding.ids, is_start=is_start)
            for text, encoding in zip(texts, found, strict=True)
        ]

    @cached_property
    def _continuing(self) -> "Backend":
        return spelling.without_prefix(self.backend)

    @cached_property
    def _spelled(self) -> frozenset[int]:
        """Control tokens that the model would find in a text that spells them.

        Merges never make one; a search in the whole vocabulary can.
        """
        from tokenizers import models

        model = self.backend.model
        if isinstance(model, models.BPE) and not model.ignore_merges:
            return frozenset()
        return frozenset(self.control_tokens.values()) - {self._id_of("unk_token")}

    def _as_text(self, text: str, ids: list[int], *, is_start: bool) -> list[int]:
        if not self._spelled or self._spelled.isdisjoint(ids):
            return ids
        first, *parts = spelling.cut_inside(text, self.control_tokens)
        backend = self.backend if is_start else self._continuing
        encodings = [
            backend.encode(first, add_special_tokens=False),
            *(self._continuing.encode(part, add_special_tokens=False) for part in parts),
        ]
        return [id for e in encodings for id in e.ids if id not in self._spelled]

    def _name_of(self, role: str) -> str | None:
        """The token that the configuration gives this role."""
        token = self.config.get(role)
        name = token.get("content") if isinstance(token, dict) else token
        if name is not None and not isinstance(name, str):
            raise InputError(f"the tokenizer's {role} is {name!r}, no token", hint="another model")
        return name

    def _id_of(self, role: str) -> int | None:
        token = self._name_of(role)
        return self.backend.token_to_id(token) if token else None

    def decode(self, ids: Sequence[int], *, is_start: bool = True) -> str:
        """Text of ids, without control tokens; bytes that are no text become U+FFFD.

        ``is_start`` tells that the ids begin a text, as ``encode`` has it.
        """
        text = b"".join(map(self.piece, ids)).decode("utf-8", "replace")
        return text.removeprefix(" ") if is_start and self.drops_first_space else text

    def spelling(self, token_id: int) -> str:
        """How the vocabulary writes a token."""
        return str(self.backend.id_to_token(token_id))

    def ids_beginning(self, piece: bytes) -> list[int]:
        """Ids of text that begins so; control tokens are never among them."""
        following = self._sorted_pieces[bisect_left(self._sorted_pieces, (piece,)) :]
        return sorted(id for _, id in takewhile(lambda pair: pair[0].startswith(piece), following))

    def piece(self, id: int) -> bytes:
        """The bytes of text that an id stands for; none if a model has more ids than tokens."""
        return self.pieces[id] if id < self.vocab_size else b""

    def text_of(self, token_id: int) -> str:
        """What a token alone looks like: its text, or how a control token is written."""
        return self.piece(token_id).decode("utf-8", "replace") or str(
            self.backend.id_to_token(token_id) or ""
        )

    @cached_property
    def _sorted_pieces(self) -> list[tuple[bytes, int]]:
        """Tokens of text in the order of their bytes, so that none is looked at in vain."""
        return sorted((piece, id) for id, piece in enumerate(self.pieces) if piece)

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of text that each id stands for; none for control tokens.

        Raises:
            InputError: If the vocabulary is spelled in a way that tissu does not read.
        """
        return spelling.read_pieces(self.backend, self._name_of("unk_token"))

    def token_bytes(self) -> list[int]:
        """How many bytes of text each id stands for; 0 for control tokens."""
        return [len(piece) for piece in self.pieces]
