import io
import json
import re
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from tissu_cli.render.train.panel import TrainPanel
from tissu_cli.render.train.views import JsonView, LogView, PanelView, Silence, TrainView
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced
from tissu_core.events.suites import SuiteScored
from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    Planned,
    RunFinished,
    RunResumed,
    RunStarted,
    SampleGenerated,
    StepFinished,
    TrainEvent,
)

HOSTILE = "\x1b]52;c;cm0gLXJmIC8=\x07\x1b[2J\x9b31m\u202eevil\r[/INST][@click=app.bell]x"


def planned(**changes: object) -> Planned:
    facts: dict[str, object] = {
        "model": "3 layers x 192",
        "num_parameters": 2_900_000,
        "vocab_size": 4096,
        "context_tokens": 256,
        "train_tokens": 3_360_000,
        "validation_tokens": 180_000,
        "batch_tokens": 4096,
        "steps": 200,
        "is_timed": False,
        "minutes": 2.0,
        "passes": 0.6,
        "optimizer": "muon",
        "learning_rate": 0.02,
        "device": "CPU, 2 threads",
        "precision": "bf16",
        "reasons": (),
    }
    return Planned(**(facts | changes))  # type: ignore[arg-type]


def step(number: int, loss: float, **changes: object) -> StepFinished:
    facts: dict[str, object] = {
        "step": number,
        "progress": number / 200,
        "loss": loss,
        "learning_rate": 0.02 * (1 - number / 200),
        "grad_norm": 0.5,
        "tokens": number * 4096,
        "tokens_per_second": 9000.0,
        "elapsed_seconds": 5 + number * 0.5,
        "memory_bytes": 600_000_000,
        "device_utilization": None,
    }
    return StepFinished(**(facts | changes))  # type: ignore[arg-type]


def whole_run(text: str = "def add(a, b):\n    return a") -> list[TrainEvent]:
    return [
        RunStarted(name=text, directory=text, tissu_version="0", torch_version="2"),
        FileSkipped(path=text, reason="binary"),
        StageAdvanced(stage="tokenising", done=5, total=10, unit="bytes"),
        planned(),
        *(step(n, 7 - n / 50) for n in range(1, 101)),
        CheckpointSaved(step=100, path=text, num_bytes=30_000_000, seconds=0.1),
        EvalFinished(step=100, loss=4.9, perplexity=134.0, bits_per_byte=1.95, is_best=True),
        SampleGenerated(step=100, prompt=text, text=text * 20),
        Noticed(level="warning", text=f"the text will be seen 9 times {text}"),
    ]


def draw(panel: TrainPanel, width: int, height: int) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(panel.render(width, height))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


SIZES = [(80, 24), (200, 50), (300, 100), (76, 17), (40, 12), (20, 5), (10, 3), (1, 1)]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_frame_fits_the_terminal(width: int, height: int) -> None:
    panel = TrainPanel(clock=lambda: 100.0)
    for event in whole_run():
        panel.take(event)
        if isinstance(event, StepFinished) and event.step % 20:
            continue  # a frame of each kind, and of some steps
        lines = draw(panel, width, height).rstrip("\n").split("\n")
        assert max(map(len, lines)) <= width
        assert len(lines) <= max(1, height - 1)  # the cursor's line is below a live display


def test_the_panel_of_a_tuned_model_says_how_much_learns_and_shows_the_reply() -> None:
    panel = TrainPanel(clock=lambda: 100.0)
    panel.take(
        planned(
            model="30 layers x 576",
            num_parameters=134_515_008,
            learning_parameters=106_203_456,
            vocab_size=49_152,
            train_tokens=8910,
            learned_tokens=2070,
            learning_rate=1e-4,
            optimizer="adamw",
        )
    )
    panel.take(step(1, 3.0))
    panel.take(SampleGenerated(step=0, prompt="You are helpful. " * 20, text="Coal is black."))
    text = draw(panel, 80, 24)
    for part in ("106M of 135M parameters", "context 256", "2.07k of 8.91k tokens, 0.6x"):
        assert part in text
    assert "…" in text and "Coal is black." in " ".join(text.replace("│", " ").split())


def test_the_panel_shows_what_a_person_looks_for() -> None:
    panel = TrainPanel(clock=lambda: 100.0)
    for event in whole_run():
        panel.take(event)
    text = draw(panel, 80, 24)
    for part in (
        "2.9M parameters",
        "50%",
        "left",
        "loss 5.0000",
        "1.9500 bits per byte (best)",
        "rate 1.00e-02",
        "gradient norm 0.500",
        "9k tokens/s",
        "600 MB",
        "saved 0 s ago at 100",
        "sample def add(a, b):",
        "9 times",
    ):
        assert part in text, part


def test_a_long_run_costs_no_more_to_draw_and_keeps_its_ends() -> None:
    panel = TrainPanel()
    for number in range(1, 20_001):
        panel.take(step(number, 5.0, progress=number / 20_000))
    assert 1000 <= len(panel.steps) == len(panel.smoothed) <= 2000
    assert (panel.steps[0].step, panel.steps[-1].step) == (1, 20_000)
    numbers = [report.step for report in panel.steps]
    assert numbers == sorted(set(numbers))
    assert "step 20,000" in draw(panel, 80, 24)


def test_a_run_that_goes_back_draws_the_steps_it_takes_again_once() -> None:
    panel = TrainPanel()
    for number in (1, 2, 3, 4):
        panel.take(step(number, 5.0))
    panel.take(RunResumed(name="r", directory="r", from_step=2))
    panel.take(step(3, 4.0))
    assert [taken.step for taken in panel.steps] == [1, 2, 3]
    assert len(panel.smoothed) == 3


def test_the_smoothed_loss_is_a_debiased_mean() -> None:
    panel = TrainPanel()
    panel.take(step(1, 5.0))
    assert panel.smoothed == [pytest.approx(5.0)]
    panel.take(step(2, 3.0))
    assert panel.smoothed[1] == pytest.approx((0.8 * 0.2 * 5 + 0.2 * 3) / (0.8 * 0.2 + 0.2))


def test_what_others_wrote_never_reaches_the_terminal() -> None:
    panel = TrainPanel()
    log = io.StringIO()
    view = LogView(log)
    for event in whole_run(HOSTILE):
        panel.take(event)
        view.show(event)
    for text in (draw(panel, 80, 24), draw(panel, 200, 50), log.getvalue()):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
        assert "[/INST]" in text or "INST" in text


def test_the_log_speaks_every_n_steps_and_at_least_every_30_seconds() -> None:
    now = [0.0]
    file = io.StringIO()
    view = LogView(file, clock=lambda: now[0])
    view.show(planned(steps=10_000))
    for number in range(1, 401):
        view.show(step(number, 5.0, progress=number / 10_000))
    numbers = [int(found) for found in re.findall(r"^step (\d+)/", file.getvalue(), re.M)]
    assert numbers == [200, 400]
    now[0] = 31.0
    view.show(step(401, 5.0, progress=0.04))
    assert "step 401/" in file.getvalue()
    view.show(step(402, 5.0, progress=0.04))
    assert "step 402/" not in file.getvalue()


def log_view() -> TrainView:
    return LogView(sys.stderr)


@pytest.mark.parametrize("make", [PanelView, log_view, JsonView, Silence])
class TestEveryView:
    """What the command asks of a view, whichever it is."""

    def test_a_whole_run_is_drawn_and_no_control_byte(
        self, make: Callable[[], TrainView], capsys: pytest.CaptureFixture[str]
    ) -> None:
        view = make()
        for event in whole_run(HOSTILE):
            view.show(event)
        view.close()
        out, err = capsys.readouterr()
        # JSON escapes them, since a program reads what was really there.
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out + err)
        assert out == "" or isinstance(view, JsonView)
        for line in out.splitlines():
            assert json.loads(line)["event"]

    def test_it_may_be_closed_at_any_event_and_twice(
        self, make: Callable[[], TrainView], capsys: pytest.CaptureFixture[str]
    ) -> None:
        for shown in range(0, len(whole_run()), 20):
            view = make()
            for event in whole_run()[:shown]:
                view.show(event)
            view.close()
            view.close()
        capsys.readouterr()


def test_a_finished_run_draws_its_last_frame() -> None:
    panel = TrainPanel()
    for event in whole_run():
        panel.take(event)
    panel.take(
        RunFinished(
            name="r",
            directory="d",
            model_path="m",
            step=200,
            stopped_early=False,
            reason="finished",
            elapsed_seconds=100.0,
            loss=3.0,
            bits_per_byte=1.9,
        )
    )
    assert "1.9500 bits per byte" in draw(panel, 80, 24)


def suite_scored(name: str, **changes: object) -> SuiteScored:
    facts: dict[str, object] = {
        "suite": name,
        "metric": "choice",
        "model": "run",
        "value": 0.545,
        "standard_error": 0.075,
        "low": 0.4,
        "high": 0.68,
        "chance": 0.25,
        "num_items": 44,
        "num_skipped": 0,
        "is_chat": False,
        "sha256": "",
        "step": 20,
    }
    return SuiteScored(**(facts | changes))  # type: ignore[arg-type]


def test_scores_of_suites_take_one_line_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = TrainPanel(clock=lambda: 0.0)
    for event in (planned(), *(step(n, 5 - n / 100) for n in range(1, 60))):
        panel.take(event)
    before = draw(panel, 80, 24)
    panel.take(suite_scored("cloze"))
    panel.take(suite_scored("pig-latin", metric="bleu", value=0.031, low=0.0, high=0.1))
    panel.take(suite_scored(HOSTILE, value=1.0))
    drawn = draw(panel, 80, 24)
    assert "suites cloze 54.5 right (40-68) · pig-latin 3.1 BLEU (0-10)" in drawn
    assert len(drawn.splitlines()) <= max(24, len(before.splitlines()))
    assert "\x1b" not in drawn and "\u202e" not in drawn
    file = io.StringIO()
    LogView(file).show(suite_scored("cloze"))
    assert file.getvalue() == "step 20: cloze 54.5 right (40-68)\n"
