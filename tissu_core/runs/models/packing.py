"""What a person should know who rounds a model that was rounded before."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tissu_core.events.shared import Noticed


def tell_of_packing(path: Path) -> Iterator[Noticed]:
    """A word where the file at ``path`` holds packed numbers already."""
    from tissu_core.checkpoint.model_directory import open_model

    tensors = open_model(path).tensors.values()
    packed = Counter(t.dtype for t in tensors if "Q" in t.dtype).most_common(1)
    if packed:
        yield Noticed(
            level="warning",
            text=f"this model is {packed[0][0]} already, and rounding twice loses more: better "
            "begin from the model it was made from",
        )
