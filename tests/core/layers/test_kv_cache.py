import pytest
import torch

from tissu_core.layers.kv_cache import KVCache, LayerCache


def parts(time: int, *cuts: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    whole = torch.randn(2, 3, time, 4)
    return whole, list(whole.split(list(cuts), dim=2))


@pytest.mark.parametrize("cuts", [[300], [1] * 300, [63, 1, 1, 100, 135], [200, 100]])
def test_what_is_appended_comes_back_in_order(cuts: list[int]) -> None:
    cache = LayerCache(300)
    keys, key_parts = parts(300, *cuts)
    values, value_parts = parts(300, *cuts)
    for key, value in zip(key_parts, value_parts, strict=True):
        found_keys, found_values = cache.append(key, value)
    assert torch.equal(found_keys, keys)
    assert torch.equal(found_values, values)
    assert cache.length == 300


def test_it_grows_with_use_and_not_beyond_its_capacity() -> None:
    cache = LayerCache(100)
    step = torch.zeros(1, 1, 1, 2)
    keys, _ = cache.append(step, step)
    assert keys.untyped_storage().nbytes() < 100 * 2 * 4
    for _ in range(99):
        keys, _ = cache.append(step, step)
    assert keys.untyped_storage().nbytes() == 100 * 2 * 4
    with pytest.raises(AssertionError, match="context"):
        cache.append(step, step)


def test_the_length_is_that_of_its_layers() -> None:
    cache = KVCache([None] * 3, 16)
    assert cache.length == 0
    for layer in cache.layers:
        layer.append(torch.zeros(1, 1, 5, 2), torch.zeros(1, 1, 5, 2))
    assert cache.length == 5


@pytest.mark.parametrize("cuts", [[60], [1] * 60, [3, 20, 1, 1, 35], [9, 1] * 6])
@pytest.mark.parametrize("window", [1, 4, 9])
def test_a_window_gives_each_query_its_last_keys(cuts: list[int], window: int) -> None:
    cache = LayerCache(60, window)
    keys, key_parts = parts(60, *cuts)
    begin = 0
    for part in key_parts:
        found, _ = cache.append(part, part)
        end = begin + part.shape[2]
        seen = found.shape[2]
        assert torch.equal(found, keys[:, :, end - seen : end])
        assert seen >= min(end, part.shape[2] + window - 1)  # what the first query sees
        begin = end
    assert cache.length == 60
    assert cache._keys is not None
    assert cache._keys.shape[2] <= 2 * window


@pytest.mark.parametrize("window", [None, 4])
def test_rows_join_at_their_newest_position_and_leave_nothing_behind(window: int | None) -> None:
    caches = [LayerCache(60, window) for _ in range(3)]
    read = [torch.randn(1, 3, time, 4) for time in (5, 30, 17)]
    for cache, keys in zip(caches, read, strict=True):
        cache.append(keys, keys)
    whole, *others = caches
    for other in others:
        whole.join(other)
    assert whole.length == 30
    more = torch.randn(3, 3, 1, 4)
    found, _ = whole.append(more, more)
    for row, keys in enumerate(read):
        held = min(keys.shape[2], found.shape[2] - 1)
        assert torch.equal(found[row, :, -1 - held : -1], keys[0, :, -held:])
    whole.keep([0, 2], 18)
    assert whole.length == 18
    assert whole._keys is not None
    assert whole._keys.untyped_storage().nbytes() <= 2 * 3 * 18 * 4 * 4
    found, _ = whole.append(more[:2], more[:2])
    assert torch.equal(found[0, :, -2:-1], more[0])
    assert torch.equal(found[1, :, -4:-2], read[2][0, :, -2:])
    assert found.shape[2] == (19 if window is None else 4)
