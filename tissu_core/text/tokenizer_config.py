"""What stands beside a vocabulary: the roles of its tokens, its chat templates."""

from pathlib import Path
from typing import Any

from tissu_core.text.special_tokens import END_OF_TEXT
from tissu_core.text.template_files import default_template, named_templates, template_files


def tokenizer_config(**roles: Any) -> dict[str, Any]:
    """What ``tokenizer_config.json`` says: the token of each role, such as ``eos_token``."""
    return {
        # Another class makes transformers rebuild the pre-tokenizer, and the ids differ.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": END_OF_TEXT,
        "pad_token": None,
        "clean_up_tokenization_spaces": False,
        **roles,
    }


def with_template_files(config: dict[str, Any], directory: Path) -> dict[str, Any]:
    """A configuration that also holds the templates of files, as a copy of the model needs it."""
    files = template_files(directory)
    if not files:
        return config
    named = named_templates(config.get("chat_template")) | files
    listed = [{"name": name, "template": template} for name, template in named.items()]
    return {**config, "chat_template": listed if len(listed) > 1 else default_template(named)}
