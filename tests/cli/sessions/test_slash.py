"""The table of commands: what is one, which one, and what a beginning may become."""

import pytest

from tissu_cli.sessions.slash import COMMANDS, fuzzy_span, help_lines, is_command, matching, parse
from tissu_core.errors import InputError


@pytest.mark.parametrize("line", ["/help", " /new ", "/set top_k=5", "/?", "/nosuch", "/q"])
def test_a_line_with_a_slash_and_a_word_is_a_command(line: str) -> None:
    assert is_command(line)


@pytest.mark.parametrize(
    "line", ["", "/", "/ help", "/usr/bin", "/2", "help", "/help\nme", "//", "a /help", "/a.txt is"]
)
def test_anything_else_is_a_message(line: str) -> None:
    assert not is_command(line)


def test_names_and_aliases_are_all_different() -> None:
    names = [name for each in COMMANDS for name in (each.name, *each.aliases)]
    assert len(names) == len(set(names))


def test_a_command_is_found_by_its_names_in_any_case() -> None:
    for each in COMMANDS:
        for name in (each.name, *each.aliases):
            assert parse(f"/{name.upper()}  some words ") == (each, "some words")
    assert parse("/export md a file.md")[1] == "md a file.md"


@pytest.mark.parametrize(("line", "hint"), [("/modle x", "/model"), ("/xyzzyx", "/help")])
def test_an_unknown_command_names_the_nearest(line: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(line)
    assert caught.value.hint.startswith(hint)


def test_what_begins_so_comes_first_and_then_what_holds_the_letters() -> None:
    assert [each.name for each in matching("/re")][:3] == ["resume", "rename", "retry"]
    assert [each.name for each in matching("/cp")] == ["copy", "compare"]
    assert matching("/")[0].name == "help" and len(matching("/")) == len(COMMANDS)
    assert matching("/zzz") == []


def test_the_span_of_letters() -> None:
    assert fuzzy_span("abc", "abc") == 0
    assert fuzzy_span("ac", "abc") == 1
    assert fuzzy_span("ca", "abc") is None
    assert fuzzy_span("", "abc") == 0


def test_help_has_a_line_for_each() -> None:
    rows = help_lines()
    assert len(rows) == len(COMMANDS) and all(
        usage.startswith("/") and text for usage, text in rows
    )
