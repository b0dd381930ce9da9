import threading
from pathlib import Path

from tests.core.runs.train.test_assemble import new
from tissu_core.data.shards import TokenShards
from tissu_core.events.shared import StageAdvanced
from tissu_core.events.suites import SuiteScored
from tissu_core.training.loop_parts import LoopEvent

NUM_ITEMS = 40
SUITE = 'metric = "choice"\nchoices = ["threads", "sails"]\n' + "".join(
    f'[[items]]\nid = "n{number}"\nprompt = "The weaver {number}"\nanswer = "threads"\n'
    for number in range(NUM_ITEMS)
)


def events_of(shards: TokenShards, tmp_path: Path, questions: int) -> list[LoopEvent]:
    """Of a run that is asked to stop once so many items of its suites were asked."""
    names = [str(tmp_path / f"{name}.toml") for name in ("first", "second")]
    for name in names:
        Path(name).write_text(SUITE, "utf-8")
    assembly = new(shards, tmp_path / "run", eval_suites=tuple(names))
    stop, events = threading.Event(), []
    for event in assembly.trainer(lambda: 0.0, should_stop=stop.is_set).run(stop.is_set):
        events.append(event)
        if isinstance(event, StageAdvanced) and event.unit == "items" and event.done >= questions:
            stop.set()
    return events


def test_a_run_that_is_stopped_does_not_wait_for_its_suites(
    shards: TokenShards, tmp_path: Path
) -> None:
    events = events_of(shards, tmp_path, 1)
    asked = [each for each in events if isinstance(each, StageAdvanced) and each.unit == "items"]
    assert len(asked) == 1 < NUM_ITEMS
    assert not any(isinstance(each, SuiteScored) for each in events)
    told = [each.text for each in events if hasattr(each, "text")]
    assert "first was not asked to its end: the run stops" in told


def test_one_that_goes_on_scores_all_of_them(shards: TokenShards, tmp_path: Path) -> None:
    scored = [
        each for each in events_of(shards, tmp_path, NUM_ITEMS + 1) if isinstance(each, SuiteScored)
    ]
    assert [(each.suite, each.step) for each in scored] == [
        ("first", 2),
        ("second", 2),
        ("first", 4),
        ("second", 4),
    ]
