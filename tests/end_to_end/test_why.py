"""What a step read and what it cost, through the real command."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import FAST, Tissu, Trained, log_of, write_corpus
from tests.end_to_end.test_optimisation import bad_batches
from tissu_core.runs.inspect.spikes import report_of

OPTIONS = ["--name", "r", "--seed", "1", "--precision", "fp32", *FAST]
EVERY_STEP = ["--save-every", "1", "--keep", "40", "--set", "training.log_every=1"]


def reported(run: Path) -> dict[int, float]:
    return {line["step"]: line["loss"] for line in log_of(run) if line["event"] == "StepFinished"}


def why(tissu: Tissu, *arguments: str) -> Any:
    result = tissu("inspect", "why", *arguments, "--json")
    assert result.code == 0, result.err
    return result.json


def test_the_batch_is_the_one_the_step_had_after_a_rollback_and_a_resume_too(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tissu_core.runs.train.assembly.next_token", bad_batches(range(7, 11)))
    assert tissu("train", corpus, "--steps", "16", *EVERY_STEP, *OPTIONS).code == 0
    more = ["--override", "--steps", "20", "--batch-tokens", "128", *EVERY_STEP]
    assert tissu("train", "--resume", "r", *more).code == 0
    losses = reported(tissu.home / "runs" / "r")
    for step in (17, 20):
        found = why(tissu, "r", "--step", str(step))
        assert (found["checkpoint_step"], len(found["sequences"])) == (step - 1, 4)
        assert found["loss"] == pytest.approx(losses[step], rel=1e-5)
        assert found["report"]["loss"]["value"] == losses[step]
    refused = tissu("inspect", "why", "r", "--step", "16")
    assert refused.code == 3
    assert refused.error[2] == "try: tissu inspect why r --step 17"
    # The same without a change of the batch: the steps before and behind the rollback.
    shutil.rmtree(tissu.home / "runs")
    assert tissu("train", corpus, "--steps", "16", *EVERY_STEP, *OPTIONS).code == 0
    losses = reported(tissu.home / "runs" / "r")
    for step in (2, 7, 13, 16):
        found = why(tissu, "r", "--step", str(step))
        assert found["loss"] == pytest.approx(losses[step], rel=1e-5)


def test_every_place_is_where_the_text_stands(trained_once: Trained) -> None:
    found = why(trained_once.tissu, "cloth", "--step", "40")
    assert found["checkpoint_step"] == 30
    (covering,) = [s for s in found["report"]["neighbours"] if s[0] == found["report"]["last_step"]]
    assert covering[1] == found["report"]["loss"]["value"]
    for sequence in found["sequences"]:
        assert len(sequence["tokens"]) == len(sequence["losses"]) == 33
        assert sequence["losses"][0] is None
        assert sum(sequence["losses"][1:]) / 32 == pytest.approx(sequence["loss"])
        assert sum(document["num_tokens"] for document in sequence["documents"]) == 33
        for document in sequence["documents"]:
            first = document["first_token"]
            tokens = sequence["tokens"][first : first + document["num_tokens"]]
            text = "".join(token for token in tokens if token != "<|endoftext|>").encode()
            file = Path(document["path"]).read_bytes()
            assert file[document["byte"] :].startswith(text)
            assert document["line"] == file[: document["byte"]].count(b"\n") + 1


def test_the_worst_spike_is_found_and_its_text_named(tissu: Tissu, tmp_path: Path) -> None:
    corpus, draw = write_corpus(tmp_path / "corpus", documents=12), random.Random(0)
    noise = "".join(draw.choice("#$%&@*+=<>|~^") for _ in range(60))
    (corpus / "noise.txt").write_text(f"\r\n{noise}\r\n", "utf-8")
    options = ["--steps", "60", "--val-fraction", "0.2", "--set", "training.log_every=2"]
    assert tissu("train", corpus, *options, *OPTIONS).code == 0
    found = why(tissu)
    assert found["is_chosen"] and found["num_tried"] == 2
    assert found["report"]["loss"]["deviations"] > 5
    worst = max(found["sequences"], key=lambda sequence: sequence["loss"])
    (document,) = [d for d in worst["documents"] if d["path"] == str(corpus / "noise.txt")]
    assert document["line"] is not None
    drawn = tissu("inspect", "why", "r")
    assert "the worst spike of the run, the hardest of 2 batches" in drawn.out
    assert f"{corpus / 'noise.txt'}:" in drawn.out.replace("\n", "").replace(" ", "")
    assert "[" in drawn.out.split("sequence")[-1], "costly tokens are marked without colour, too"


def test_no_step_of_a_spike_is_of_another_text_or_learned_by_what_reads_it(
    tissu: Tissu, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every_step = [*EVERY_STEP[:-1], "training.log_every=4", "--eval-every", "40"]
    assert tissu("train", corpus, "--steps", "10", *every_step, *OPTIONS).code == 0
    more = ["--override", "--steps", "16", "--batch-tokens", "128", *every_step]
    assert tissu("train", "--resume", "r", *more).code == 0
    # As if the process had died behind the checkpoint of step 10, before it said more.
    log = tissu.home / "runs" / "r" / "events.jsonl"
    lines = [line for line in log.open("rb") if json.loads(line).get("step") != 10]
    log.write_bytes(b"".join(lines))
    worst = {"r": 16}
    monkeypatch.setattr(
        "tissu_core.runs.inspect.why.worst_spike",
        lambda events, run: report_of(events, worst[run.name]),
    )
    found = why(tissu, "r")
    assert found["num_tried"] == 4 and found["checkpoint_step"] == 12
    worst["r"] = 12
    refused = tissu("inspect", "why", "r")
    assert refused.code == 3 and "what step 9 of r read is no longer known" in refused.error[0]
    assert refused.error[2] == "try: tissu inspect why r --step 11"


def test_what_is_not_there_is_said(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    beyond = copy.tissu("inspect", "why", "cloth", "--step", "41")
    assert (beyond.code, beyond.error[0]) == (
        3,
        "error: cloth has no step 41: its log ends at step 40",
    )
    early = copy.tissu("inspect", "why", "cloth", "--step", "2")
    assert early.code == 0 and "none from before is kept" in early.out
    shutil.move(copy.run / "checkpoints", copy.run / "elsewhere")
    bare = copy.tissu("inspect", "why", "cloth", "--step", "40")
    assert bare.code == 3 and "no checkpoint" in bare.error[0]
    shutil.move(copy.run / "elsewhere", copy.run / "checkpoints")
    shutil.rmtree(copy.tissu.home / "cache")
    gone = copy.tissu("inspect", "why", "cloth", "--step", "40")
    assert gone.code == 3 and "are gone" in gone.error[0]


def test_a_run_without_reports_has_no_spike(trained_copy: Callable[[], Trained]) -> None:
    copy = trained_copy()
    log = copy.run / "events.jsonl"
    lines = [line for line in log.open("rb") if json.loads(line)["event"] != "StepFinished"]
    log.write_bytes(b"".join(lines))
    result = copy.tissu("inspect", "why", "cloth")
    assert result.code == 3 and "too few" in result.error[0]
