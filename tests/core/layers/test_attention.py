import pytest
import torch

from tests.samples import CPU, make_config
from tissu_core.layers.attention import Attention
from tissu_core.layers.cpu_attention import LONGEST, SHORTEST_FP32, suits_blocks
from tissu_core.layers.masks import attention_mask
from tissu_core.layers.rope import rope_tables


def make_attention(**changes: object) -> Attention:
    dropout = changes.pop("dropout", 0.0)
    shape: dict[str, object] = {"hidden_size": 20, "head_dim": 6}
    attention = Attention(make_config(**(shape | changes)), 0)  # type: ignore[arg-type]
    attention.dropout = dropout
    return attention


def plain(attention: Attention, x: torch.Tensor) -> torch.Tensor:
    """The same with one loop a head and nothing clever."""
    time, half = x.shape[1], attention.head_dim // 2
    cos, sin = (t.double() for t in rope_tables(time, attention.head_dim, 10_000.0, CPU))

    def head(projection: torch.nn.Linear, norm: torch.nn.Module | None, number: int):
        rows = slice(number * attention.head_dim, (number + 1) * attention.head_dim)
        y = x.double() @ projection.weight[rows].double().T
        if norm is None:
            return y
        y = y / (y.square().mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight.double()
        first, second = y[..., :half], y[..., half:]
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)

    mixed = []
    for number in range(attention.num_heads):
        kv = number * attention.num_kv_heads // attention.num_heads
        query = head(attention.q_proj, attention.q_norm, number)
        key = head(attention.k_proj, attention.k_norm, kv)
        scores = query @ key.mT / attention.head_dim**0.5
        scores = scores + torch.full((time, time), float("-inf")).triu(1)
        mixed.append(scores.softmax(-1) @ head(attention.v_proj, None, kv))
    return torch.cat(mixed, dim=-1) @ attention.o_proj.weight.double().T


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize("time", [1, 2, 13])
def test_attention_is_what_the_papers_say(kv_heads: int, time: int) -> None:
    attention = make_attention(num_key_value_heads=kv_heads)
    torch.nn.init.uniform_(attention.q_norm.weight, 0.5, 1.5)
    torch.nn.init.uniform_(attention.k_norm.weight, 0.5, 1.5)
    x = torch.randn(2, time, 20)
    found = attention(x, rope_tables(time, 6, 10_000.0, CPU))
    torch.testing.assert_close(found.double(), plain(attention, x), atol=1e-5, rtol=1e-4)


def test_heads_need_not_fill_the_width() -> None:
    attention = make_attention(num_attention_heads=3, num_key_value_heads=1, head_dim=8)
    assert attention(torch.randn(1, 5, 20), rope_tables(5, 8, 1e4, CPU)).shape == (1, 5, 20)


@pytest.mark.parametrize(("time", "keys"), [(3, 3), (2, 5), (1, 4)])
def test_the_last_queries_see_what_is_not_after_them(time: int, keys: int) -> None:
    mask = attention_mask(time, keys, None, (), CPU)
    for query in range(time):
        for key in range(keys):
            assert mask[query, key] == (key <= keys - time + query)


def test_dropout_changes_training_and_not_use() -> None:
    attention = make_attention(dropout=0.5)
    x, tables = torch.randn(1, 9, 20), rope_tables(9, 6, 1e4, CPU)
    assert not torch.equal(attention(x, tables), attention(x, tables))
    attention.eval()
    assert torch.equal(attention(x, tables), attention(x, tables))


def test_blocks_are_for_training_without_dropout_up_to_a_length() -> None:
    def suits(
        time: int,
        keys: int,
        dropout: float = 0.0,
        dtype: torch.dtype = torch.bfloat16,
        *,
        is_masked: bool = False,
    ) -> bool:
        queries, others = (torch.empty(1, 1, n, 4, dtype=dtype) for n in (time, keys))
        return suits_blocks(queries, others, dropout, is_masked=is_masked)

    assert suits(LONGEST, LONGEST)
    assert not suits(LONGEST + 1, LONGEST + 1)
    assert not suits(4, 9)
    assert not suits(9, 9, dropout=0.1)
    assert suits(SHORTEST_FP32, SHORTEST_FP32, dtype=torch.float32)
    assert not suits(9, 9, dtype=torch.float32)
    assert suits(9, 9, dtype=torch.float32, is_masked=True)
