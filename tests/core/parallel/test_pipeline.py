import pytest

from tests.samples import make_config, make_model
from tissu_core.parallel.pipeline import cut_stages, layers_of, turns
from tissu_core.parallel.ranks import Ranks


@pytest.mark.parametrize("num_stages", [1, 2, 3, 4])
@pytest.mark.parametrize("num_micros", [1, 2, 5, 8])
def test_every_micro_batch_goes_forward_and_back_in_order(num_stages: int, num_micros: int) -> None:
    for stage in range(num_stages):
        order = turns(stage, num_stages, num_micros)
        for what in ("forward", "backward"):
            assert [number for each, number in order if each == what] == list(range(num_micros))
        begun = 0
        for what, _ in order:
            begun += 1 if what == "forward" else -1
            assert 0 <= begun <= num_stages - stage


def test_no_stage_waits_for_one_that_waits_for_it() -> None:
    """Played through: a turn needs what its neighbour has sent before."""
    num_stages, num_micros = 4, 6
    left = [turns(stage, num_stages, num_micros) for stage in range(num_stages)]
    done: set[tuple[int, str, int]] = set()
    while any(left):
        ready = []
        for stage, order in enumerate(left):
            if not order:
                continue
            what, number = order[0]
            from_stage = stage - 1 if what == "forward" else stage + 1
            if not 0 <= from_stage < num_stages or (from_stage, what, number) in done:
                ready.append((stage, what, number))
        assert ready
        for stage, what, number in ready:
            left[stage].pop(0)
            done.add((stage, what, number))


def test_the_stages_have_every_layer_once_and_the_last_no_more_than_others() -> None:
    for num_layers in range(4, 12):
        parts = [layers_of(stage, 4, num_layers) for stage in range(4)]
        assert [number for part in parts for number in part] == list(range(num_layers))
        assert len(parts[-1]) == min(map(len, parts)) >= 1


@pytest.mark.parametrize("is_tied", [True, False])
def test_the_stages_have_every_parameter_under_its_name(is_tied: bool) -> None:
    config = make_config(num_hidden_layers=3, tie_word_embeddings=is_tied)
    held = []
    for stage in range(3):
        model = make_model(config)
        cut_stages(model, Ranks(stage, 3))
        held.append({name for name, _ in model.named_parameters()})
    whole = {name for name, _ in make_model(config).named_parameters()}
    assert set.union(*held) == whole
    shared = {"model.embed_tokens.weight"} if is_tied else set()
    assert held[0] & held[2] == shared
    assert not held[0] & held[1]
    assert not held[1] & held[2]
