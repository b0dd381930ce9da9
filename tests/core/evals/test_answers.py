"""What counts as the right answer in a reply."""

import pytest

from tissu_core.evals.suites.metrics import contains, is_exact, program
from tissu_core.evals.suites.suite import Item


@pytest.mark.parametrize(
    ("reply", "answer", "is_right"),
    [
        ("It is 7.", "7", True),
        ("17", "7", False),
        ("-7", "7", False),
        ("7.5", "7", False),
        ("New  York, surely", "new york", True),
        ("Yorkshire", "York", False),
    ],
)
def test_contained_is_as_whole_words(reply: str, answer: str, is_right: bool) -> None:
    assert contains(reply, [answer]) is is_right


def test_exact_passes_over_case_space_and_a_full_stop() -> None:
    assert is_exact("  Seven. ", ["eight", "seven"]) and not is_exact("seventy", ["seven"])


def test_code_is_what_a_fence_holds_or_the_end_of_the_prompt() -> None:
    item = Item(id="f", prompt="def f(x):\n", answers=(), tests="assert f(1)")
    assert program(item, "    return x\n") == "def f(x):\n    return x\n"
    whole = "Sure:\n```python\ndef f(x):\n    return x\n```\nDone."
    assert program(item, whole) == "def f(x):\n    return x\n"
    assert program(item, "```\n    return x\n```") == "def f(x):\n    return x\n"
    bare = "Here it is:\nimport math\n\ndef f(x):\n    return x\n\nIt returns x."
    half = "def f(x):\n    return x\n\nprint(f(1))\n```\n\nThis function returns x."
    assert program(item, half) == "def f(x):\n    return x\n\n"
    assert program(item, bare) == "import math\n\ndef f(x):\n    return x\n\n"
