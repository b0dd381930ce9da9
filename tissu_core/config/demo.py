"""The demo: text that every machine with Python already has."""

import sysconfig
from typing import Any


def demo_settings() -> dict[str, Any]:
    """Settings that train on the sources of Python's own standard library, for about 2 minutes."""
    return {
        "name_stem": "demo",
        "data.corpus": [sysconfig.get_path("stdlib")],
        "data.only": [".py"],
        "data.exclude": [
            *("test", "tests", "idle_test", "site-packages", "dist-packages"),
            *("encodings", "pydoc_data"),  # tables of code points and one huge string: not code
        ],
        "training.minutes": 2.0,
        "training.sample_prompt": "def ",
    }
