"""The harness finds in a tissu model what its own ``hf`` finds in the exported one."""

import json
from pathlib import Path

import pytest

from tests.samples import STORY, make_config, make_model, random_ids
from tissu_core.checkpoint.model_directory import LoadedModel, write_model_files
from tissu_core.config.harness import HarnessConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.config.model import RopeScaling
from tissu_core.errors import InputError
from tissu_core.events.harness import HarnessFinished
from tissu_core.events.shared import StageAdvanced
from tissu_core.models.decoder import Decoder
from tissu_core.runs.evaluate.harness import run_harness
from tissu_core.text.bpe_trainer import learn_bpe
from tissu_core.text.tokenizer import Tokenizer

lm_eval = pytest.importorskip("lm_eval")
WORDS = STORY.split()
HEAD = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {data}}}
test_split: train
fewshot_split: train
output_type: {kind}
doc_to_text: "{{{{question}}}}"
"""
REST = {
    "multiple_choice": 'doc_to_choice: "{{choices}}"\ndoc_to_target: "{{answer}}"\n'
    "metric_list: [{metric: acc}, {metric: acc_norm}]\n",
    "loglikelihood_rolling": 'doc_to_target: "{{question}}"\n'
    "metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]\n",
    "generate_until": 'doc_to_target: "{{choices[0]}}"\n'
    'generation_kwargs: {until: ["e"], max_gen_toks: 9}\nmetric_list: [{metric: bleu}]\n',
}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    rows = [
        {
            "question": " ".join(WORDS[at : at + 12]),
            "choices": [WORDS[at + 12], WORDS[at + 20], WORDS[at + 30] + " " + WORDS[at + 31]],
            "answer": at % 3,
        }
        for at in range(0, 60, 4)
    ]
    rows[3]["question"] = STORY[:400]  # more than the context
    data = folder / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    for kind, rest in REST.items():
        head = HEAD.format(name=f"loom_{kind}", data=data, kind=kind)
        (folder / f"{kind}.yaml").write_text(head + rest)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    write_model_files(path, make_model(make_config()), Tokenizer(learn_bpe([STORY], 320)))
    return path


@pytest.mark.slow  # lm_eval and transformers take 20 s to import
@pytest.mark.parametrize("shots", [0, 1])
def test_figures_are_those_of_hf(tasks: Path, model: Path, shots: int) -> None:
    from lm_eval.tasks import TaskManager

    names = [f"loom_{kind}" for kind in REST]
    config = HarnessConfig(include=str(tasks), num_shots=shots, batch_size=4)
    *before, found = run_harness(str(model), names, DeviceConfig(device="cpu"), config)
    assert isinstance(found, HarnessFinished)
    assert any(isinstance(event, StageAdvanced) and event.done == event.total for event in before)
    theirs = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "device": "cpu", "dtype": "float32"},
        tasks=names,
        num_fewshot=shots,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        log_samples=False,
        bootstrap_iters=0,
        batch_size=1,
        **dict.fromkeys(("random_seed", "numpy_random_seed", "fewshot_random_seed"), 0),
    )["results"]
    assert {score.task for score in found.scores} == {*names}
    for score in found.scores:
        assert score.num_items == 15 and score.num_shots == shots
        assert score.value == pytest.approx(theirs[score.task][f"{score.metric},none"], rel=1e-4)


Answered = list[tuple[float, bool]]


def answered(model: Decoder, pairs: list[tuple[list[int], list[int]]]) -> Answered:
    from tissu_core.evals.harness import HarnessModel

    tokenizer = Tokenizer(learn_bpe([STORY], 320))
    loaded = LoadedModel(model, tokenizer, Path("tiny"), frozenset())
    asked = HarnessModel(loaded, 8, lambda done, of: None)
    return asked._loglikelihood_tokens([(("", ""), *pair) for pair in pairs])


@pytest.mark.slow
def test_rows_are_filled_up_only_where_that_changes_nothing() -> None:
    """Phi-3's longer texts are rotated otherwise from their first token on."""
    factors = {"short_factor": (1.0,) * 4, "long_factor": (8.0, 4.0, 2.0, 1.0)}
    scaling = RopeScaling(
        rope_type="longrope", factor=4.0, original_max_position_embeddings=16, **factors
    )
    model = make_model(make_config(rope_scaling=scaling))
    ids = random_ids(50).tolist()
    pairs = [(ids[:30], ids[30:50]), (ids[:6], ids[6:10]), (ids[:3], ids[3:5])]
    alone = [answered(model, [pair])[0] for pair in pairs]
    for found, wanted in zip(answered(model, pairs), alone, strict=True):
        assert found[0] == pytest.approx(wanted[0], rel=1e-5)


@pytest.mark.slow
def test_a_continuation_longer_than_the_context_is_refused_with_both_lengths() -> None:
    model = make_model(make_config())
    ids = random_ids(66).tolist()
    assert len(answered(model, [(ids[:2], ids[2:])])) == 1  # all that the model reads
    with pytest.raises(InputError, match="has 65 tokens, and the model reads 64"):
        answered(model, [(ids[:1], ids[1:])])


@pytest.mark.slow
@pytest.mark.parametrize("ending", [SystemExit(3), ValueError("no data")])
def test_however_the_harness_ends_it_is_told(
    tasks: Path, model: Path, monkeypatch: pytest.MonkeyPatch, ending: BaseException
) -> None:
    def give_up(**asked: object) -> None:
        raise ending

    monkeypatch.setattr(lm_eval, "simple_evaluate", give_up)
    config = HarnessConfig(include=str(tasks))
    with pytest.raises(InputError, match=f"gave up: {type(ending).__name__}: {ending}"):
        [*run_harness(str(model), ["loom_generate_until"], DeviceConfig(device="cpu"), config)]


def test_a_task_that_is_not_there_is_named(tasks: Path, model: Path) -> None:
    config = HarnessConfig(include=str(tasks / "none"))
    with pytest.raises(InputError, match="no folder"):
        [*run_harness(str(model), ["x"], DeviceConfig(device="cpu"), config)]


def test_without_the_package_it_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tissu_core.runs.evaluate.harness.find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        [*run_harness(str(model), ["x"], DeviceConfig(device="cpu"), HarnessConfig())]
    assert "pipx inject tissu lm-eval" in (caught.value.hint or "")
