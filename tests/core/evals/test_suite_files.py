"""Suites as files: what is read, and which line is named when one is wrong."""

from pathlib import Path

import pytest

from tissu_core.errors import InputError
from tissu_core.evals.suites.files import load_suite, read_suite, suite_paths

GOOD = '''\
about = "[[items]]"   # [[items]]
metric = "choice"
choices = ["yes", "no"]

[[shots]]
prompt = "Is fire hot?"
answer = "yes"

[[items]]
id = "ice"
prompt = """Is ice
[[items]]
cold?"""
answer = "yes"

[[items]]
id = "sea"
prompt = "Is the sea dry?"
choices = ["no", "sometimes", "yes"]
answer = "no"
kind = "water"
of = "ice"
'''


def write(directory: Path, text: str, name: str = "mine") -> Path:
    path = directory / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_suite_is_read_with_what_its_items_share(tmp_path: Path) -> None:
    suite = read_suite(write(tmp_path, GOOD))
    assert (suite.name, suite.metric, len(suite.items)) == ("mine", "choice", 2)
    ice, sea = suite.items
    assert ice.choices == ("yes", "no") and sea.choices == ("no", "sometimes", "yes")
    assert (ice.line, sea.line, sea.kind, sea.of) == (9, 16, "water", "ice")
    assert suite.shots[0].answer == "yes"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ('"choice"', '"choise"', 2, "the metric 'choise'"),
        ('metric = "choice"', "", 1, "no metric"),
        ('id = "sea"', 'id = "ice"', 17, "the id 'ice' again: line 10"),
        ('id = "sea"', "", 16, "no id"),
        ('of = "ice"', 'of = "icy"', 22, "'icy', which is no other item"),
        ('answer = "no"\nkind', 'answer = "never"\nkind', 20, "not one of its choices"),
        ('"no", "sometimes", "yes"', '"no", "no"', 19, "two or more choices"),
        ('kind = "water"', 'knd = "water"', 21, "an unknown key 'knd'"),
        ('kind = "water"', 'kind = ["water"]', 21, "kind = ['water']"),
        ('kind = "water"', "kind = ", 21, "not TOML"),
        ('about = "[[items]]"', "max_tokens = 0", 1, "max_tokens = 0"),
    ],
)
def test_a_wrong_suite_names_the_line(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(InputError, match="mine") as raised:
        read_suite(path)
    assert raised.value.message.startswith(f"{path}:{line} ")
    assert words in raised.value.message


def test_an_own_suite_hides_the_bundled_one_and_a_typo_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "breakfast")
    assert load_suite("breakfast", tmp_path).path == str(tmp_path / "breakfast.toml")
    with pytest.raises(InputError, match="no suite 'brekfast'") as raised:
        load_suite("brekfast", tmp_path)
    assert raised.value.hint == "did you mean breakfast?"
    with pytest.raises(InputError, match="no such file"):
        load_suite("./breakfast.toml", tmp_path)
    assert "breakfast" in suite_paths(tmp_path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(InputError, match="not UTF-8"):
        read_suite(path)
