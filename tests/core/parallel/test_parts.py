import pytest

from tests.samples import make_config
from tissu_core.config.machine import MachineConfig
from tissu_core.errors import ConfigError
from tissu_core.parallel.parts import check_parts


def refused(machine: MachineConfig, num_ranks: int, **changes: object) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        check_parts(make_config(**changes), machine, num_ranks)
    return raised.value


def test_what_comes_out_even_is_taken() -> None:
    check_parts(make_config(), MachineConfig(tp=2, pp=2), 8)
    check_parts(make_config(num_local_experts=4, num_experts_per_tok=2), MachineConfig(pp=2), 2)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({}, "--tp is 4, which does not divide the 2 key/value heads", "--tp 2"),
        (
            {"num_key_value_heads": 4, "intermediate_size": 90},
            "--tp is 4, which does not divide the 90 channels",
            "--tp 2",
        ),
        ({"num_key_value_heads": 1}, "the 1 key/value heads", "another --heads"),
        ({"num_local_experts": 4, "num_experts_per_tok": 2}, "mixture of experts", "--pp"),
    ],
)
def test_what_cannot_be_cut_is_refused_with_what_can(
    changes: dict[str, object], message: str, hint: str
) -> None:
    error = refused(MachineConfig(tp=4), 4, **changes)
    assert message in error.message
    assert error.hint.startswith(hint)
    assert error.field == "tp"


def test_more_stages_than_layers() -> None:
    error = refused(MachineConfig(pp=4), 4)
    assert error.message == "--pp is 4, and the model has 2 layers"
    assert error.hint.startswith("--pp 2")
    assert refused(MachineConfig(pp=3), 3).hint.startswith("more --layers")


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        (
            {"procs": 3, "device": "cpu", "tp": 2},
            "--tp 2 put a model on 2 processes, and 3 are no multiple of that",
            "--procs 4 --device cpu",
        ),
        ({"gpus": 4, "tp": 4, "pp": 2}, "--tp 4 and --pp 2 put a model on 8", "--gpus 8, or"),
        ({"gpus": 2, "pp": 2, "shard": "full"}, "--shard full gathers", "--shard optim"),
        ({"gpus": 2, "pp": 2, "compile": True}, "--compile makes one piece", "the same command"),
    ],
)
def test_processes_that_do_not_hold_whole_copies(
    asked: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        MachineConfig(**asked)  # type: ignore[arg-type]
    assert message in raised.value.message
    assert raised.value.hint.startswith(hint)
