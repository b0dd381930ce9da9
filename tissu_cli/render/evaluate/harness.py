"""What the evaluation harness found, for people."""

from rich.table import Table
from rich.text import Text

from tissu_core.events.harness import HarnessFinished, TaskScored
from tissu_core.sanitize import sanitize_line


def harness_table(found: HarnessFinished) -> Table:
    """One figure a row, a task's name beside its first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("task", overflow="fold", min_width=16)
    for title in ("shots", "items"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("metric", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    last = ""
    for score in found.scores:
        is_next = score.task != last
        last = score.task
        table.add_row(
            Text(sanitize_line(score.task) if is_next else "", "bold"),
            "" if score.num_shots is None or not is_next else str(score.num_shots),
            f"{score.num_items:,}" if is_next else "",
            Text(sanitize_line(_metric(score))),
            _value(score),
        )
    table.caption = f"lm-evaluation-harness {found.harness_version}; ± is one standard error"
    table.caption_justify = "left"
    return table


def _metric(score: TaskScored) -> str:
    arrow = {True: " ↑", False: " ↓", None: ""}[score.is_higher_better]
    return score.metric + ("" if score.filter == "none" else f" ({score.filter})") + arrow


def _value(score: TaskScored) -> str:
    error = "" if score.standard_error is None else f" ± {score.standard_error:.4f}"
    return f"{score.value:.4f}{error}"
