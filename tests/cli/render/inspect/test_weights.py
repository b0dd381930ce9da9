"""The table of many tensors: as wide as the terminal, nothing of it cut."""

import io

import pytest
from rich.console import Console

from tissu_cli.render.inspect.weights import tensors_view
from tissu_core.events.tensors import TensorSummarized

HISTOGRAM = tuple(range(1, 49))
"""Full at its end, so that a bar that is cut there is seen."""
LONG = ("self_attn.q_proj", "mlp.down_proj", "post_attention_layernorm")


def summed(name: str, dtype: str = "float32") -> TensorSummarized:
    return TensorSummarized(
        name=f"model.{name}.weight",
        shape=(1536, 576),
        dtype=dtype,
        mean=-0.0003,
        std=0.078,
        min=-0.328,
        max=0.341,
        zeros=12,
        nans=0,
        infs=0,
        norm=15.06,
        histogram=HISTOGRAM,
        edges=tuple(map(float, range(49))),
    )


def lines(tensors: list[TensorSummarized], width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(tensors_view(tensors, 4, width))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [70, 80, 100, 160])
@pytest.mark.parametrize("parts", [LONG[:2], LONG], ids=["short names", "long names"])
def test_rows_stand_below_their_layer_and_end_with_the_largest_bar(
    width: int, parts: tuple[str, ...]
) -> None:
    tensors = [summed(f"layers.{layer}.{part}") for layer in range(5) for part in parts]
    tensors += [summed(f"layers.{layer}.input_layernorm", "Q4_1") for layer in range(5)]
    tensors.sort(key=lambda tensor: tensor.name)
    drawn = lines(tensors, width)
    rows = [line for line in drawn if line.startswith("  ")]
    assert [line for line in drawn if line.startswith("layers.")] == [
        f"layers.{layer}" for layer in range(5)
    ]
    assert len(rows) == len(tensors) and all(row.endswith("█") for row in rows)
    assert max(map(len, rows)) > (width - 12 if width < 110 else 98)


def test_one_of_each_layer_keeps_its_whole_name() -> None:
    drawn = lines([summed(f"layers.{layer}.mlp.down_proj") for layer in range(9)], 80)
    assert [line.split()[0] for line in drawn if "down_proj" in line] == [
        f"layers.{layer}.mlp.down_proj" for layer in range(9)
    ]
    assert all(line.endswith("█") for line in drawn if "down_proj" in line)
