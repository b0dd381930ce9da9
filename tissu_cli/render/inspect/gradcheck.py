"""Checked gradients in the terminal, a line a layer, as they come."""

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from tissu_core.events.measures import GradientChecked

_NAME, _COUNT = 30, 11
HEADING = Text(
    f"{'layer':<{_NAME}}{'parameters':>{_COUNT}}{'inputs':>{_COUNT}}{'error':>{_COUNT}}  result",
    style="dim",
)


def checks_view(checks: Sequence[GradientChecked]) -> RenderableType:
    """All of it at once."""
    return Group(HEADING, *map(check_line, checks), summary_line(checks))


def check_line(check: GradientChecked) -> Text:
    """One layer; where a check fails, the tensor with the largest error."""
    error = "none" if math.isnan(check.largest_error) else f"{check.largest_error:.1e}"
    line = Text(
        f"{check.layer:<{_NAME}}{check.num_parameters:>{_COUNT}}{check.num_inputs:>{_COUNT}}"
        f"{error:>{_COUNT}}  "
    )
    if check.is_passed:
        return line.append("PASS", style="green")
    return line.append(f"FAIL at {check.where}", style="bold red")


def summary_line(checks: Sequence[GradientChecked]) -> Text:
    """How many passed, and the largest error of all."""
    failed = [check for check in checks if not check.is_passed]
    worst = max(checks, key=lambda check: check.largest_error)
    if failed:
        return Text(f"{len(failed)} of {len(checks)} layers FAIL", style="bold red")
    return Text(
        f"{len(checks)} layers PASS, largest relative error {worst.largest_error:.1e} "
        f"({worst.layer})"
    )
