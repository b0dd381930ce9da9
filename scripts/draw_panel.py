"""Draw the panel of a real run as an SVG picture: ``python scripts/draw_panel.py RUN OUT.svg``."""

import io
import sys
from pathlib import Path

from rich.console import Console

from tissu_cli.render.train.panel import TrainPanel
from tissu_core.events.training import StepFinished
from tissu_core.runs.follow import iter_log

WIDTH, HEIGHT = 100, 28
SHARE = 0.75  # of the run, so that the picture shows one under way


def main(run: str, out: str) -> None:
    """Replay the run's log up to ``SHARE`` of it and export the frame."""
    now = 0.0
    panel = TrainPanel(clock=lambda: now)
    for when, event in iter_log(Path(run)):
        now = when
        panel.take(event)
        if isinstance(event, StepFinished) and event.progress >= SHARE:
            break
    console = Console(
        width=WIDTH, height=HEIGHT, record=True, file=io.StringIO(), force_terminal=True
    )
    console.print(panel.render(WIDTH, HEIGHT))
    console.save_svg(out, title="tissu train --demo")


if __name__ == "__main__":
    main(*sys.argv[1:])
