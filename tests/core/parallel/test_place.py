import pytest

from tissu_core.errors import ConfigError
from tissu_core.parallel.place import Place, find_place

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "10.0.0.1"}
SLURM = {
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_JOB_ID": "1234567",
    "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.1",
}


def test_a_process_alone() -> None:
    assert find_place({}) is None
    assert find_place({"RANK": "0", "WORLD_SIZE": "1"}) is None
    assert find_place({"SLURM_NTASKS": "4"}) is None  # a shell inside an allocation


def test_what_torchrun_says() -> None:
    assert find_place({**TORCHRUN, "MASTER_PORT": "4444"}) == Place(3, 4, 1, "10.0.0.1", 4444)
    assert find_place(TORCHRUN) == Place(3, 4, 1, "10.0.0.1", 29500)


def test_what_slurm_says() -> None:
    assert find_place(SLURM) == Place(3, 4, 1, "10.0.0.1", 24567)
    given = {**SLURM, "MASTER_ADDR": "node-7", "MASTER_PORT": "4444"}
    assert find_place(given) == Place(3, 4, 1, "node-7", 4444)


def test_what_is_no_place() -> None:
    with pytest.raises(ConfigError, match="does not say its place") as error:
        find_place({**TORCHRUN, "RANK": "first"})
    assert "torchrun" in error.value.hint
    with pytest.raises(ConfigError, match="where the first process is") as error:
        find_place({name: value for name, value in SLURM.items() if "IPADDR" not in name})
    assert "MASTER_ADDR" in error.value.hint
