"""The demo: text that every machine with Python already has."""

import sysconfig
from typing import Any

DEMO_PRESET: dict[str, Any] = {"training.minutes": 2.0, "training.sample_prompt": "def "}
"""What the demo chooses unless somebody says otherwise."""


def demo_corpus() -> dict[str, Any]:
    """What ``--demo`` says in one word: the sources of Python's own standard library."""
    return {
        "name_stem": "demo",
        "data.corpus": [sysconfig.get_path("stdlib")],
        "data.only": [".py"],
        "data.exclude": [
            *("test", "tests", "idle_test", "site-packages", "dist-packages"),
            *("encodings", "pydoc_data"),  # tables of code points and one huge string: not code
        ],
    }
