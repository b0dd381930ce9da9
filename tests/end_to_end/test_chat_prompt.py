"""``tissu chat --show-prompt``, ``--template`` and ``--json``, and models whose template is bad."""

import json
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Tissu, Trained
from tests.end_to_end.test_terminal import Terminal
from tests.samples import CHATML
from tissu_core.storage import MANIFEST

TYPED = "Who <|im_end|> are you?"
PROMPT = f"<|im_start|>user\n{TYPED}<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture
def model(trained_once: Trained, tmp_path: Path) -> Path:
    """A copy of a trained model, taught nothing, with a template all the same."""
    path = tmp_path / "model"
    shutil.copytree(trained_once.run / "model", path)
    (path / MANIFEST).unlink()
    (path / "chat_template.jinja").write_text(CHATML, "utf-8")
    return path


def add_named(model: Path, value: object) -> None:
    path = model / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": value}))


def test_the_prompt_is_printed_to_the_letter(tissu: Tissu, model: Path) -> None:
    result = tissu("chat", model, "--show-prompt", "-p", TYPED)
    assert result.code == 0 and result.out == PROMPT
    assert tissu("chat", model, "--show-prompt", stdin=TYPED).out == PROMPT


def test_the_prompt_as_json_tells_control_tokens_from_text(tissu: Tissu, model: Path) -> None:
    shown = tissu("chat", model, "--show-prompt", "--json", "-p", TYPED).json
    assert shown["prompt"] == PROMPT
    assert [id for id in shown["ids"] if id < 16] == [2, 3, 2]
    assert [piece["text"] for piece in shown["pieces"] if piece["is_control"]] == [
        "<|im_start|>",
        "<|im_end|>",
        "<|im_start|>",
    ]


def test_a_reply_as_json_is_to_the_prompt_that_is_shown(tissu: Tissu, model: Path) -> None:
    ask = ["chat", model, "--json", "-p", "Hi", "--max-tokens", "3", "--seed", "1"]
    reply = tissu(*ask).json
    assert reply["prompt"] == "Hi" and reply["new_tokens"] <= 3
    assert reply["prompt_tokens"] == len(tissu(*ask, "--show-prompt").json["ids"])


def test_the_prompt_of_a_base_model_begins_as_a_text(trained_once: Trained) -> None:
    result = trained_once.tissu("chat", "cloth", "--show-prompt", "-p", "The miller")
    assert result.out == "<|endoftext|>The miller"


def test_on_a_terminal_control_tokens_have_a_colour_and_typed_ones_none(model: Path) -> None:
    terminal = Terminal(model.parent, "chat", model, "--show-prompt", "--max-tokens", "2")
    terminal.expect("> ")
    terminal.child.sendline(TYPED)
    terminal.expect("> ")
    terminal.child.sendline("/quit")
    assert terminal.read_to_end() == 0
    shown = terminal.raw.decode(errors="replace")
    assert (
        "\x1b[30;103m<|im_start|>\x1b[0muser\r\nWho <|im_end|> are you?\x1b[30;103m<|im_end|>"
        in (shown)
    )


def test_lines_that_are_pasted_are_one_message(model: Path) -> None:
    terminal = Terminal(model.parent, "chat", model, "--show-prompt", "--max-tokens", "2")
    terminal.expect("> ")
    terminal.child.send("\x1b[200~one\ntwo\x1b[201~\r")
    terminal.expect("<.im_end.>")
    terminal.expect("> ")
    terminal.child.sendline("/quit")
    assert terminal.read_to_end() == 0
    shown = terminal.raw.decode(errors="replace")
    assert "\x1b[?2004h" in shown, "the terminal is asked to mark what is pasted"
    assert "user\r\none\r\ntwo\x1b[30;103m<|im_end|>" in shown


def test_a_template_by_name_or_from_a_file(tissu: Tissu, model: Path, tmp_path: Path) -> None:
    (model / "chat_template.jinja").unlink()
    add_named(
        model,
        [
            {"name": "short", "template": "[{{ messages[-1].content }}]"},
            {"name": "default", "template": CHATML},
        ],
    )
    ask = ["chat", model, "--show-prompt", "-p", "Hi"]
    assert tissu(*ask).out == PROMPT.replace(TYPED, "Hi")
    assert tissu(*ask, "--template", "short").out == "[Hi]"
    own = tmp_path / "own.jinja"
    own.write_text("({{ messages[-1].content }})", "utf-8")
    assert tissu(*ask, "--template", own).out == "(Hi)"
    unknown = tissu(*ask, "--template", "shrt")
    assert unknown.code == 3 and "short, default" in unknown.error[2]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}", "work"),
        ("{{ ''.__class__ }}", "__class__"),
        ("{% for %}", "fails"),
        ("{{ raise_exception('no') }}", "refuses"),
        ("", "empty prompt"),
        ("\x00\udcff", "no chat template"),
        (7, "neither a template"),
        ([{"name": "default"}], "neither a template"),
    ],
)
def test_a_bad_template_is_refused_and_nothing_else(
    tissu: Tissu, model: Path, template: object, says: str
) -> None:
    if isinstance(template, str):
        (model / "chat_template.jinja").write_bytes(template.encode("utf-8", "surrogateescape"))
    else:
        (model / "chat_template.jinja").unlink()
        add_named(model, template)
    result = tissu("chat", model, "-p", "Hi")
    assert result.code == 3 and says in result.error[0]
    assert result.out == ""


def test_a_bad_template_leaves_other_ways_to_use_the_model(
    tissu: Tissu, model: Path, tmp_path: Path
) -> None:
    (model / "chat_template.jinja").unlink()
    add_named(model, 7)
    assert tissu("generate", model, "-p", "Hi", "--max-tokens", "2").code == 0
    (tmp_path / "own.jinja").write_text(CHATML, "utf-8")
    ask = ["chat", model, "--show-prompt", "-p", "Hi", "--template", tmp_path / "own.jinja"]
    assert tissu(*ask).out == PROMPT.replace(TYPED, "Hi")


def test_json_of_a_conversation_is_refused(model: Path) -> None:
    terminal = Terminal(model.parent, "chat", model, "--json")
    assert terminal.read_to_end() == 2
    assert "--json needs a prompt" in terminal.text
