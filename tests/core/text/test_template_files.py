import json
from pathlib import Path
from typing import Any

import pytest

from tests.samples import CHATML
from tissu_core.errors import InputError
from tissu_core.text.template_files import default_template, named_templates, template_files
from tissu_core.text.tokenizer import Tokenizer


def listed(**templates: str) -> list[dict[str, str]]:
    return [{"name": name, "template": text} for name, text in templates.items()]


@pytest.mark.parametrize(
    ("value", "expected", "default"),
    [
        (None, {}, None),
        ("a", {"default": "a"}, "a"),
        (listed(rag="r", default="d"), {"rag": "r", "default": "d"}, "d"),
        (listed(rag="r", tool_use="t"), {"rag": "r", "tool_use": "t"}, "r"),
        ([], {}, None),
    ],
)
def test_one_template_or_several_with_names(
    value: Any, expected: dict[str, str], default: str | None
) -> None:
    assert named_templates(value) == expected
    assert default_template(named_templates(value)) == default


@pytest.mark.parametrize("value", [7, {"default": "a"}, ["a"], [{"name": "a"}], [{"template": ""}]])
def test_another_value_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="neither a template"):
        named_templates(value)


def test_templates_in_files_of_their_own(tmp_path: Path) -> None:
    assert template_files(tmp_path) == {}
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "json"}))
    assert template_files(tmp_path) == {"default": "json"}
    (tmp_path / "chat_template.jinja").write_text("jinja")
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "rag.jinja").write_text("rag")
    assert template_files(tmp_path) == {"default": "jinja", "rag": "rag"}


def test_a_file_goes_before_the_configuration_and_is_saved_with_it(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    config = {**tiny_tokenizer.config, "chat_template": listed(default="old", tool_use="tools")}
    Tokenizer(tiny_tokenizer.backend, config).save(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(CHATML)
    loaded = Tokenizer.load(tmp_path)
    assert loaded.chat_template == CHATML
    copy = tmp_path / "copy"
    copy.mkdir()
    loaded.save(copy)
    assert Tokenizer.load(copy).chat_templates == {"default": CHATML, "tool_use": "tools"}


def test_a_single_template_of_a_file_is_saved_as_one(
    tiny_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    tiny_tokenizer.save(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(CHATML)
    assert Tokenizer.load(tmp_path).config["chat_template"] == CHATML
