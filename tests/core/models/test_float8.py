import pytest

from tests.samples import make_config
from tissu_core.errors import ConfigError
from tissu_core.models.float8 import explain_float8


def test_layers_that_do_not_fit_are_named_once() -> None:
    every = make_config(hidden_size=64, intermediate_size=96, head_dim=16)
    assert explain_float8(every).startswith("all 14 projections")
    some = make_config(hidden_size=64, intermediate_size=88, head_dim=16)
    found = explain_float8(some)
    assert found.startswith("8 of 14 projections")
    assert "gate_proj, up_proj, down_proj with a side" in found


def test_a_model_of_which_no_layer_fits_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiples of 16") as caught:
        explain_float8(make_config(hidden_size=24, intermediate_size=40, head_dim=6))
    assert caught.value.hint is not None and "--precision bf16" in caught.value.hint
