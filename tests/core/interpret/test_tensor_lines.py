import math

import pytest
import torch
from torch import Tensor

from tissu_core.events.tensors import LinesExamined
from tissu_core.interpret.tensors.lines import examine_lines


def matrix(rows: int = 64, columns: int = 48) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))


def examined(tensor: Tensor) -> tuple[LinesExamined, LinesExamined]:
    rows, columns = examine_lines(tensor)
    assert (rows.axis, columns.axis) == ("row", "column")
    return rows, columns


def test_nothing_stands_out_of_noise() -> None:
    for lines in examined(matrix()):
        assert (lines.num_dead, lines.num_outliers) == (0, 0)
        assert (lines.dead, lines.outliers) == ((), ())


def test_dead_rows_and_columns_are_named() -> None:
    tensor = matrix()
    tensor[[3, 40]] = 0
    tensor[17] *= 1e-5
    tensor[:, 5] = 0
    rows, columns = examined(tensor)
    assert (rows.num_dead, rows.dead) == (3, (3, 17, 40))
    assert (columns.num_dead, columns.dead) == (1, (5,))


def test_outliers_are_named_by_their_norm_the_largest_first() -> None:
    tensor = matrix()
    tensor[9] *= 10
    tensor[21] *= 30
    rows, columns = examined(tensor)
    assert [line.index for line in rows.outliers] == [21, 9]
    assert rows.outliers[0].norm == pytest.approx(float(tensor[21].norm()))
    assert rows.median_norm == pytest.approx(float(tensor.norm(dim=1).median()))
    assert rows.outliers[0].ratio == pytest.approx(30, rel=0.3)
    assert columns.num_outliers == 0


def test_of_many_the_first_are_named_and_all_counted() -> None:
    tensor = matrix(100)
    tensor[:20] = 0
    tensor[40:60] *= 40
    rows, _ = examined(tensor)
    assert (rows.num_dead, rows.dead) == (20, tuple(range(8)))
    assert (rows.num_outliers, len(rows.outliers)) == (20, 8)


def test_a_matrix_mostly_dead_is_that() -> None:
    tensor = matrix()
    tensor[2:] = 0
    rows, _ = examined(tensor)
    assert (rows.num_dead, rows.num_outliers) == (62, 0)
    nothing, _ = examined(torch.zeros(20, 20))
    assert (nothing.num_dead, nothing.median_norm) == (20, 0.0)


def test_equal_rows_have_no_outlier_among_them() -> None:
    tensor = torch.ones(64, 48)
    tensor[7] *= 1.2
    rows, _ = examined(tensor)
    assert rows.num_outliers == 0
    tensor[7] *= 2
    assert examined(tensor)[0].outliers[0].index == 7


def test_what_is_no_number_counts_as_zero() -> None:
    tensor = matrix()
    tensor[4] = math.nan
    tensor[6, 2] = math.inf
    rows, _ = examined(tensor)
    assert rows.dead == (4,)
    assert rows.num_outliers == 0


def test_vectors_and_few_lines_are_not_examined() -> None:
    assert examine_lines(torch.ones(100)) == ()
    assert examine_lines(torch.ones(0, 100)) == ()
    assert [lines.axis for lines in examine_lines(matrix(4))] == ["column"]


def test_parts_of_a_large_matrix_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = matrix()
    tensor[9] *= 10
    tensor[:, 5] = 0
    whole = examine_lines(tensor)
    monkeypatch.setattr("tissu_core.interpret.tensors.reading.PART", 48 * 5)
    for parts, at_once in zip(examine_lines(tensor), whole, strict=True):
        assert parts.median_norm == pytest.approx(at_once.median_norm)
        assert parts.dead == at_once.dead
        assert [o.index for o in parts.outliers] == [o.index for o in at_once.outliers]
