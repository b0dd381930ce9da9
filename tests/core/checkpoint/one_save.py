"""One save of a tiny checkpoint as training does it, but without torch, which takes seconds.

``python -m tests.core.checkpoint.one_save DIRECTORY STEP CONTENT``; ``BEGIN`` is looked for when
all is imported, so that a trace tells the save from what came before it.
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.storage import guard_write, write_json

BEGIN = "/this-save-begins-here"


def save(directory: Path, step: int, content: str) -> None:
    """Save a step whose every file holds ``content``, and call it the best."""

    def write(temporary: Path) -> None:
        write_json(temporary / "config.json", {"content": content})
        for name in ("model.safetensors", "optimizer.safetensors"):
            save_file({"w": np.full(300, len(content))}, temporary / name, {"content": content})

    store = CheckpointStore(directory, keep=2)
    store.save(step, write, {"content": content})
    store.point("best", step, 1.0)


if __name__ == "__main__":
    # The library reports the system's errors as its own; weights.py turns them back with torch.
    Path(BEGIN).exists()
    with guard_write(Path(sys.argv[1])):
        save(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
