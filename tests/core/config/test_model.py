import pytest

from tissu_core.config.shape import PRESETS, ModelShape, asked_size, resolve_shape
from tissu_core.errors import ConfigError


def resolve(**shape: int):
    return resolve_shape(
        ModelShape(**shape), layers=4, width=256, context_tokens=128, vocab_size=1000
    )


def test_what_is_left_open_is_filled_in() -> None:
    config = resolve()
    assert (config.num_hidden_layers, config.hidden_size, config.vocab_size) == (4, 256, 1000)
    assert (config.num_attention_heads, config.num_key_value_heads, config.head_dim) == (4, 4, 64)
    assert config.max_position_embeddings == 128


def test_what_is_asked_for_is_kept() -> None:
    config = resolve(
        num_hidden_layers=2,
        hidden_size=96,
        num_attention_heads=6,
        num_key_value_heads=2,
        context_tokens=32,
    )
    assert (config.num_hidden_layers, config.hidden_size, config.head_dim) == (2, 96, 16)
    assert (config.num_attention_heads, config.num_key_value_heads) == (6, 2)
    assert config.max_position_embeddings == 32


@pytest.mark.parametrize("width", [8, 32, 64, 128, 256, 384, 768, 2048])
def test_the_feed_forward_is_about_eight_thirds_of_the_width(width: int) -> None:
    config = resolve(hidden_size=width)
    assert config.intermediate_size == pytest.approx(width * 8 / 3, rel=0.25)
    assert config.intermediate_size % (64 if width >= 128 else 8) == 0


@pytest.mark.parametrize(
    ("shape", "field", "hint"),
    [
        ({"num_attention_heads": 7}, "num_attention_heads", "--heads 4 --width 256"),
        ({"hidden_size": 6, "num_attention_heads": 2}, "num_attention_heads", "--width 8"),
        ({"num_key_value_heads": 3}, "num_key_value_heads", "--kv-heads 2"),
        ({"num_key_value_heads": 8}, "num_key_value_heads", "--kv-heads 4"),
    ],
)
def test_shapes_that_contradict_themselves_are_refused(
    shape: dict[str, int], field: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(**shape)
    assert caught.value.field == field
    assert caught.value.hint == hint


@pytest.mark.parametrize("shape", [{"num_attention_heads": 7}, {"num_key_value_heads": 3}])
def test_the_hint_is_a_shape_that_works(shape: dict[str, int]) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(**shape)
    words = caught.value.hint.split()
    names = {
        "--heads": "num_attention_heads",
        "--width": "hidden_size",
        "--kv-heads": "num_key_value_heads",
    }
    resolve(**{names[flag]: int(n) for flag, n in zip(words[::2], words[1::2], strict=True)})


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ({}, None),
        ({"preset": "small"}, PRESETS["small"]),
        ({"depth": 5}, (5, 320)),
        ({"preset": "small", "depth": 5}, (5, 320)),
        ({"preset": "small", "num_hidden_layers": 9}, (9, 384)),
        ({"depth": 5, "hidden_size": 100}, (5, 100)),
        ({"num_hidden_layers": 3}, (3, 192)),
        ({"hidden_size": 256}, (4, 256)),
        ({"hidden_size": 32}, (1, 32)),
        ({"num_hidden_layers": 3, "hidden_size": 40}, (3, 40)),
    ],
)
def test_explicit_shape_goes_before_depth_before_preset(
    shape: dict[str, object], size: tuple[int, int] | None
) -> None:
    assert asked_size(ModelShape(**shape)) == size  # type: ignore[arg-type]
