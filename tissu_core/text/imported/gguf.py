"""The tokenizer in a GGUF file's metadata: byte-level BPE."""

from collections.abc import Mapping
from typing import Any

from tissu_core.errors import InputError
from tissu_core.text.splits import build_split
from tissu_core.text.tokenizer import Tokenizer

_PREFIX = "tokenizer.ggml."
_CONTROL = 3
"""ggml's number for a control token."""


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that a GGUF file's metadata describe.

    Raises:
        InputError: If it is no byte-level BPE.
    """
    from tokenizers import AddedToken, decoders, models
    from tokenizers import Tokenizer as Backend

    tokens = metadata.get(_PREFIX + "tokens")
    if metadata.get(_PREFIX + "model") != "gpt2" or not isinstance(tokens, list):
        raise InputError("the file holds no byte-level BPE", hint="use another model")
    merges = [tuple(pair.split(" ")) for pair in metadata[_PREFIX + "merges"]]
    vocabulary = {token: id for id, token in enumerate(tokens)}
    backend = Backend(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = build_split(
        "qwen2" if metadata.get(_PREFIX + "pre") == "qwen2" else "gpt2"
    )
    backend.decoder = decoders.ByteLevel()
    kinds = metadata.get(_PREFIX + "token_type", [])
    controls = [token for token, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL]
    backend.add_special_tokens([AddedToken(token, special=True) for token in controls])
    config = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if _PREFIX + "eos_token_id" in metadata:
        config["eos_token"] = tokens[metadata[_PREFIX + "eos_token_id"]]
    if "tokenizer.chat_template" in metadata:
        config["chat_template"] = metadata["tokenizer.chat_template"]
    return Tokenizer(backend, config)
