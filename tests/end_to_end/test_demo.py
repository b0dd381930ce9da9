"""The README's first line: two minutes on the standard library, and text that reads as Python."""

import io
import json
import tokenize

import pytest

from tests.end_to_end.conftest import Tissu
from tissu_core.config.demo import demo_corpus
from tissu_core.data.sources import Skipped, iter_sources

SAMPLES = 20


def is_python(text: str) -> bool:
    """Whether whole lines of ``text`` split into Python's tokens.

    A sample ends in the middle of something, so an open bracket or string at its end is no fault.
    """
    whole = text[: text.rfind("\n") + 1] or text
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(whole).readline))
    except tokenize.TokenError as error:
        return "EOF in multi-line" in str(error)
    except (IndentationError, SyntaxError):
        return False
    return all(token.type != tokenize.ERRORTOKEN for token in tokens)


def test_is_python_can_say_no() -> None:
    assert is_python("def add(a, b):\n    return a + b\nx = (1,")
    assert not is_python("def add(a, b):\n        x\n    'no end\n")
    assert not is_python("def f():\n        a\n      b\n")


def test_the_demo_reads_sources_and_no_tests() -> None:
    settings = demo_corpus()
    found = iter_sources(settings["data.corpus"], settings["data.only"], settings["data.exclude"])
    paths = [file.path for file in found if not isinstance(file, Skipped)]
    assert {path.suffix for path in paths} == {".py"}
    names = {part for path in paths for part in path.parts[-4:-1]}
    assert not names & {"site-packages", "test", "tests", "idle_test"}
    assert {"ast.py", "textwrap.py", "argparse.py"} <= {path.name for path in paths}


@pytest.mark.slow
def test_two_minutes_of_the_demo_make_text_that_is_half_python(tissu: Tissu) -> None:
    result = tissu.process("train", "--demo", OMP_NUM_THREADS="2")
    assert result.code == 0, result.err
    log = next((tissu.home / "runs").glob("demo-*/events.jsonl"))
    events = [json.loads(line) for line in log.open()]
    end = events[-1]
    assert end["event"] == "RunFinished"
    assert end["bits_per_byte"] < 2.6  # untrained it is about 3.5
    ask = ["generate", "--json", "-p", "def ", "--max-tokens", "80"]
    texts = ["def " + tissu(*ask, "--seed", seed).json["text"] for seed in map(str, range(SAMPLES))]
    good = sum(map(is_python, texts))
    assert good >= SAMPLES / 2, texts
