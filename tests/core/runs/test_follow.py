import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tissu_core.events.shared import Noticed
from tissu_core.events.training import (
    CheckpointSaved,
    EvalFinished,
    Planned,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    TrainEvent,
)
from tissu_core.runs.follow import read_events, read_facts
from tissu_core.tracking.event_log import EVENTS_FILE, EventLog

STARTED = RunStarted(name="cloth", directory="d", tissu_version="0.1.0", torch_version="2.13")
PLANNED = Planned(
    model="m",
    num_parameters=1234,
    vocab_size=320,
    context_tokens=32,
    train_tokens=9000,
    validation_tokens=900,
    batch_tokens=256,
    steps=40,
    is_timed=False,
    minutes=1.0,
    passes=2.0,
    optimizer="adamw",
    learning_rate=1e-3,
    device="cpu",
    precision="fp32",
    reasons=("a", "b"),
)
FINISHED = RunFinished(
    name="cloth",
    directory="d",
    model_path="d/model",
    step=40,
    stopped_early=False,
    reason="all steps are done",
    elapsed_seconds=4.0,
    loss=1.0,
    bits_per_byte=1.5,
)


def step(number: int) -> StepFinished:
    return StepFinished(
        step=number,
        progress=number / 40,
        loss=5.0 - number / 10,
        learning_rate=1e-3,
        grad_norm=1.0,
        tokens=256 * number,
        tokens_per_second=1e4,
        elapsed_seconds=number / 10,
        memory_bytes=1,
        device_utilization=None,
    )


def evaluated(number: int, bits_per_byte: float) -> EvalFinished:
    return EvalFinished(
        step=number, loss=3.0, perplexity=20.0, bits_per_byte=bits_per_byte, is_best=True
    )


def saved(number: int) -> CheckpointSaved:
    return CheckpointSaved(step=number, path="p", num_bytes=1, seconds=0.1)


def resumed(number: int) -> RunResumed:
    return RunResumed(name="cloth", directory="d", from_step=number)


def write(directory: Path, *events: TrainEvent) -> None:
    log = EventLog(directory)
    for event in events:
        log.append(event)
    log.close()


def append_text(directory: Path, text: str) -> None:
    with (directory / EVENTS_FILE).open("a", encoding="utf-8") as file:
        file.write(text)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    events = [STARTED, PLANNED, step(10), evaluated(10, 2.0), saved(10), FINISHED]
    write(tmp_path, *events)
    assert read_events(tmp_path) == events


def test_no_log_is_no_history(tmp_path: Path) -> None:
    assert read_events(tmp_path) == []
    facts = read_facts(tmp_path)
    assert (facts.state, facts.step, facts.loss, facts.updated) == ("unfinished", 0, None, 0.0)


def test_a_resume_drops_the_later_steps_of_the_earlier_try(tmp_path: Path) -> None:
    lost = [step(20), evaluated(20, 1.0), step(30), saved(30)]
    write(tmp_path, PLANNED, step(10), saved(10), *lost, resumed(10), step(20))
    assert read_events(tmp_path) == [PLANNED, step(10), saved(10), resumed(10), step(20)]


def test_each_of_several_resumes_counts(tmp_path: Path) -> None:
    write(tmp_path, step(10), step(20), resumed(10), step(20), step(30), resumed(20), step(25))
    assert read_events(tmp_path) == [step(10), resumed(10), step(20), resumed(20), step(25)]


def test_a_resumed_run_is_no_longer_finished(tmp_path: Path) -> None:
    write(tmp_path, PLANNED, step(40), FINISHED, resumed(40))
    assert read_facts(tmp_path).state == "unfinished"
    write(tmp_path, step(50), replace(FINISHED, step=50))
    assert [e.step for e in read_events(tmp_path) if isinstance(e, RunFinished)] == [50]


@pytest.mark.parametrize(
    "line",
    [
        '{"time": 1.0, "event": "StepFinished", "st',
        '{"event": "WeftInserted", "step": 3}',
        '{"event": "RunResumed", "name": "cloth"}',
        '{"event": ["Noticed"]}',
        '{"no": "event"}',
        '["Noticed"]',
        "null",
        "",
        "\x00\x00\x00",
    ],
)
def test_lines_that_are_no_event_cost_no_other(tmp_path: Path, line: str) -> None:
    write(tmp_path, step(10))
    append_text(tmp_path, line + "\n")
    write(tmp_path, step(20))
    append_text(tmp_path, line)
    assert read_events(tmp_path) == [step(10), step(20)]


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path, step(10))
    line = (tmp_path / EVENTS_FILE).read_text("utf-8").replace('"step": 10', '"step": 11')
    append_text(tmp_path, line[:40])
    assert [e.step for e in read_events(tmp_path) if isinstance(e, StepFinished)] == [10]
    append_text(tmp_path, line[40:])
    assert [e.step for e in read_events(tmp_path) if isinstance(e, StepFinished)] == [10, 11]


def test_fields_of_a_newer_version_are_passed_over(tmp_path: Path) -> None:
    record = {"event": "Noticed", "level": "info", "text": "二", "time": 7, "colour": "red"}
    append_text(tmp_path, json.dumps(record) + "\n")
    assert read_events(tmp_path) == [Noticed(level="info", text="二")]
    assert read_facts(tmp_path).updated == 7.0


def test_facts_of_a_finished_run(tmp_path: Path) -> None:
    scores = [evaluated(20, 1.5), evaluated(40, 1.75)]
    write(tmp_path, STARTED, PLANNED, step(20), step(40), *scores, saved(20), saved(40), FINISHED)
    facts = read_facts(tmp_path)
    assert (facts.state, facts.step, facts.steps) == ("finished", 40, 40)
    assert (facts.num_parameters, facts.train_tokens) == (1234, 9000)
    assert (facts.tokens, facts.loss, facts.elapsed_seconds) == (40 * 256, 1.0, 4.0)
    assert (facts.bits_per_byte, facts.last_saved_step) == (1.5, 40), (
        "the best score, the last save"
    )
    assert abs(facts.updated - time.time()) < 60


def test_facts_of_a_stopped_run(tmp_path: Path) -> None:
    write(tmp_path, PLANNED, step(10), saved(10), replace(FINISHED, step=10, stopped_early=True))
    facts = read_facts(tmp_path)
    assert (facts.state, facts.step, facts.steps) == ("stopped", 10, 40)


def test_facts_of_a_run_that_was_cut_off(tmp_path: Path) -> None:
    write(tmp_path, STARTED, PLANNED, step(10), saved(10), step(13))
    append_text(tmp_path, '{"event": "RunFini')
    facts = read_facts(tmp_path)
    assert (facts.state, facts.step, facts.last_saved_step) == ("unfinished", 13, 10)
    assert facts.bits_per_byte is None


def test_facts_after_a_resume_forget_what_was_dropped(tmp_path: Path) -> None:
    write(tmp_path, PLANNED, step(10), saved(10), step(20), evaluated(20, 0.5), resumed(10))
    facts = read_facts(tmp_path)
    assert (facts.step, facts.bits_per_byte, facts.last_saved_step) == (10, None, 10)


def test_a_run_that_the_clock_ends_has_no_number_of_steps(tmp_path: Path) -> None:
    write(tmp_path, replace(PLANNED, is_timed=True))
    assert read_facts(tmp_path).steps == 0
