"""Text in, a model out, and every verb on it: each through the real command."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import FAST, Tissu, Trained
from tissu_core.events.training import EvalFinished, RunFinished, StepFinished, from_record


def test_training_narrates_in_plain_lines_and_says_what_to_type_next(trained_once: Trained) -> None:
    result = trained_once.result
    assert result.out == ""
    assert "\x1b" not in result.err
    lines = result.err.splitlines()
    assert any(line.startswith("step 40/40 (100%) loss ") for line in lines)
    assert any("validation" in line and "bits per byte" in line for line in lines)
    assert str(trained_once.run / "model") in result.err
    assert "tissu chat cloth" in lines[-1]


def test_the_model_learned_something(trained_once: Trained) -> None:
    events = [from_record(json.loads(line)) for line in (trained_once.run / "events.jsonl").open()]
    scores = [event.bits_per_byte for event in events if isinstance(event, EvalFinished)]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.95 * scores[0]


def test_generate_repeats_with_a_seed_and_differs_without(trained_once: Trained) -> None:
    tissu = trained_once.tissu
    ask = ["generate", "cloth", "-p", "The weaver ", "--max-tokens", "20"]
    first, again, other = (
        tissu(*ask, "--seed", "7"),
        tissu(*ask, "--seed", "7"),
        tissu(*ask, "--seed", "8"),
    )
    assert first.code == 0
    assert first.out == again.out != other.out


def test_generate_reads_a_pipe_and_streams_what_json_holds(trained_once: Trained) -> None:
    tissu = trained_once.tissu
    options = ["--max-tokens", "12", "--seed", "3"]
    plain = tissu("generate", *options, stdin="The sailor ")
    record = tissu("generate", "--json", *options, stdin="The sailor ").json
    assert plain.out == record["text"] + "\n"
    assert record["new_tokens"] == 12
    assert record["reason"] == "length"
    assert record["prompt"] == "The sailor "


def test_greedy_is_the_same_as_temperature_zero_and_stops_at_a_stop_text(
    trained_once: Trained,
) -> None:
    tissu = trained_once.tissu
    greedy = tissu("generate", "-p", "The ", "--greedy", "--max-tokens", "16").out
    assert greedy == tissu("generate", "-p", "The ", "--temperature", "0", "--max-tokens", "16").out
    stop = greedy[4:7]
    stopped = tissu("generate", "-p", "The ", "--greedy", "--max-tokens", "16", "--stop", stop).out
    assert stopped == greedy[: greedy.index(stop)] + "\n"


@pytest.mark.parametrize("ask", [["-p", "The miller "], []])
def test_chat_answers_once_with_raw_text(trained_once: Trained, ask: list[str]) -> None:
    stdin = "" if ask else "The miller "
    result = trained_once.tissu("chat", *ask, "--max-tokens", "8", "--seed", "1", stdin=stdin)
    assert result.code == 0
    assert result.out.strip()
    assert "base model" in result.err
    generated = trained_once.tissu(
        "generate", "-p", "The miller ", "--max-tokens", "8", "--seed", "1"
    )
    assert result.out == generated.out


def test_eval_ppl_speaks_in_long_names_and_scores_every_token_at_any_stride(
    trained_once: Trained,
) -> None:
    tissu, corpus = trained_once.tissu, trained_once.corpus
    whole = tissu("eval", "ppl", corpus, "-m", "cloth", "--stride", "32", "--json").json
    assert whole["num_bytes"] == sum(path.stat().st_size for path in corpus.iterdir())
    assert whole["num_documents"] == 12
    assert 0.1 < whole["bits_per_byte"] < 8
    assert whole["perplexity"] > 1
    closer = tissu("eval", "ppl", corpus, "-m", "cloth", "--stride", "4", "--json").json
    assert closer["num_tokens"] == whole["num_tokens"]
    assert closer["bits_per_byte"] == pytest.approx(whole["bits_per_byte"], rel=0.02)
    assert closer["bits_per_byte"] != whole["bits_per_byte"]


def test_eval_ppl_names_a_planted_document(trained_once: Trained, tmp_path: Path) -> None:
    tissu, mixed = trained_once.tissu, tmp_path / "mixed.jsonl"
    texts = [path.read_text("utf-8") for path in sorted(trained_once.corpus.iterdir())]
    garbage = "qX7#vv zK!! 0x9f]] jjW~~ " * 12
    lines = [json.dumps({"text": text}) for text in [*texts[:5], garbage, *texts[5:]]]
    mixed.write_text("\n".join(lines) + "\n", "utf-8")
    found = tissu("eval", "ppl", mixed, "-m", "cloth", "--documents", "3", "--json").json
    worst = found["documents"]
    assert len(worst) == 3 and found["num_documents"] == 13
    assert (worst[0]["number"], worst[0]["num_bytes"]) == (6, len(garbage))
    assert worst[0]["begins"] == garbage[:60].strip()
    costs = [each["bits_per_byte"] for each in worst]
    assert costs == sorted(costs, reverse=True) and costs[0] > 2 * costs[1]
    # All of them together are the whole.
    every = tissu("eval", "ppl", mixed, "-m", "cloth", "--documents", "99", "--json").json
    bits = sum(each["bits_per_byte"] * each["num_bytes"] for each in every["documents"])
    assert bits / every["num_bytes"] == pytest.approx(every["bits_per_byte"], rel=1e-9)
    shown = tissu("eval", "ppl", mixed, "-m", "cloth", "--documents", "1")
    assert "mixed.jsonl:6" in shown.out and "mixed.jsonl:5" not in shown.out
    assert not tissu("eval", "ppl", mixed, "-m", "cloth", "--json").json["documents"]


def test_inspect_weights_finds_forgiving_names(trained_once: Trained) -> None:
    tissu = trained_once.tissu
    tensors = tissu("inspect", "weights", "layer.0.attn", "cloth", "--json").json["tensors"]
    assert {tensor["name"].rsplit(".", 2)[1] for tensor in tensors} == {
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "q_norm",
        "k_norm",
    }
    query = next(tensor for tensor in tensors if "q_proj" in tensor["name"])
    assert query["shape"] == [32, 32]
    assert sum(query["histogram"]) == 32 * 32
    drawn = tissu("inspect", "weights", "embed", "cloth")
    assert "model.embed_tokens.weight" in drawn.out
    assert "█" in drawn.out
    assert "\x1b" not in drawn.out


def test_inspect_run_and_lists(trained_once: Trained) -> None:
    tissu = trained_once.tissu
    report = tissu("inspect", "run")
    assert "cloth" in report.out
    assert "40 of 40" in report.out
    facts = tissu("inspect", "run", "cloth", "--json").json
    assert facts["facts"]["state"] == "finished"
    kinds = [type(from_record(record)) for record in facts["events"]]
    assert kinds[-1] is RunFinished
    assert kinds.count(StepFinished) >= 4
    assert "cloth" in tissu("runs", "list").out
    assert tissu("models", "list", "--json").json["models"][0]["path"] == str(
        trained_once.run / "model"
    )


def test_view_json_gives_every_event_as_a_line(tissu: Tissu, corpus: Path) -> None:
    result = tissu("train", corpus, "--steps", "3", "--view", "json", *FAST)
    assert result.code == 0
    events = [from_record(json.loads(line)) for line in result.out.splitlines()]
    assert None not in events
    assert isinstance(events[-1], RunFinished)
    assert [e.step for e in events if isinstance(e, StepFinished)] == [1, 2, 3]


def test_dry_run_says_the_plan_and_makes_no_run(tissu: Tissu, corpus: Path) -> None:
    result = tissu("train", corpus, "--dry-run", *FAST)
    assert result.code == 0
    assert "would train" in result.err
    assert "1 layers x 32" in result.err
    assert not (tissu.home / "runs").exists()


def test_runs_rm_asks_and_removes(trained_copy) -> None:  # type: ignore[no-untyped-def]
    trained = trained_copy()
    refused = trained.tissu("runs", "rm", "cloth")
    assert refused.code == 2
    assert trained.run.exists()
    assert trained.tissu("runs", "rm", "cloth", "--yes").code == 0
    assert not trained.run.exists()


def test_settings_come_from_a_file_then_set_then_flags(tissu: Tissu, corpus: Path) -> None:
    settings = corpus.parent / "settings.toml"
    settings.write_text("[training]\nsteps = 9\nseed = 5\n[optimizer]\nname = 'adamw'\n", "utf-8")
    options = ["--config", settings, "--set", "training.seed=6", "--steps", "2", "--name", "made"]
    assert tissu("train", corpus, *FAST, *options).code == 0
    table = (tissu.home / "runs" / "made" / "config.toml").read_text("utf-8")
    assert "steps = 2\n" in table
    assert "seed = 6\n" in table
    assert 'name = "adamw"' in table


def test_any_mix_of_inputs_and_what_was_skipped_is_named(tissu: Tissu, corpus: Path) -> None:
    import gzip

    (corpus / "more.jsonl.gz").write_bytes(
        gzip.compress(b"".join(b'{"text": "The sailor mended 7 sails."}\n' for _ in range(50)))
    )
    (corpus / "picture.png").write_bytes(b"\x89PNG\r\n\0\0\0")
    (corpus / "empty.txt").touch()
    single = corpus.parent / "single.md"
    single.write_text("The miller moved 3 sacks.\n" * 50, "utf-8")
    result = tissu("train", corpus, single, "--steps", "2", *FAST)
    assert result.code == 0
    assert f"(binary): {corpus / 'picture.png'}" in result.err
    assert f"(empty): {corpus / 'empty.txt'}" in result.err


def test_the_saved_configuration_is_all_that_is_needed_to_run_again(
    trained_once: Trained, tmp_path: Path
) -> None:
    config = trained_once.run / "config.toml"
    again = Tissu(tmp_path / "home")("train", "--config", config)
    assert again.code == 0, again.err
    runs = (trained_once.run, tmp_path / "home/runs/corpus-1")
    first, second = (run / "model/model.safetensors" for run in runs)
    assert first.read_bytes() == second.read_bytes()
