"""The real process that holds a model, from its start to its ends."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.samples import CHATML, STORY, make_config, make_model
from tissu_core.checkpoint.leases import leased
from tissu_core.checkpoint.model_directory import write_model_files
from tissu_core.checkpoint.store import CheckpointStore
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.errors import ConfigError, InputError, ResourceError
from tissu_core.events.replies import (
    ContextTrimmed,
    GenerationFinished,
    ModelLoaded,
    ReplyResumed,
    TokenGenerated,
)
from tissu_core.events.shared import StageAdvanced
from tissu_core.runs.chat.model import ChatModel, Message
from tissu_core.runs.chat.remote_model import RemoteModel
from tissu_core.runs.chat.session import ChatSession
from tissu_core.runs.wire import WINDOW
from tissu_core.text.bpe_trainer import learn_bpe
from tissu_core.text.tokenizer import Tokenizer

ASKED = [Message(role="user", content="say it 🧵")]
ONE_THREAD = DeviceConfig(threads=1)
ENDLESS = DecodingConfig(max_tokens=4000, min_tokens=4000, greedy=True)

PRINT_AT_IMPORT = """
import os, sys
def torn(event, given):
    if event == "import" and given[0] == "torch":
        os.write(1, b"torn by 1\\n")
        os.write(2, b"torn by 2\\n")
sys.addaudithook(torn)
"""
PARENT = """
import sys, threading
from tissu_core.config.decoding import DecodingConfig
from tissu_core.config.machine import DeviceConfig
from tissu_core.runs.chat.model import Message
from tissu_core.runs.chat.remote_model import RemoteModel
model = RemoteModel(sys.argv[1], DeviceConfig(threads=1))
list(model.load())
settings = DecodingConfig(max_tokens=4000, min_tokens=4000)
for event in model.reply([Message(role="user", content="hi")], settings, threading.Event()):
    print("token", flush=True)
"""


def write_run(run: Path, *steps: int) -> CheckpointStore:
    """A run with checkpoints of a tiny model that converses."""
    tokenizer = Tokenizer(learn_bpe([STORY], 320))
    tokenizer = Tokenizer(tokenizer.backend, {**tokenizer.config, "chat_template": CHATML})
    model = make_model(make_config(max_position_embeddings=8192))
    run.mkdir(parents=True)
    (run / "config.toml").write_text("")
    store = CheckpointStore(run / "checkpoints")
    for step in steps:
        store.save(step, lambda path: write_model_files(path, model, tokenizer), {"step": step})
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CheckpointStore:
    return write_run(tmp_path_factory.mktemp("home") / "runs" / "cloth", 5)


@pytest.fixture(scope="module")
def remote(store: CheckpointStore) -> Iterator[RemoteModel]:
    model = RemoteModel(str(store.path_of(5)), ONE_THREAD)
    assert model.facts is None
    list(model.load())
    yield model
    model.close()


@pytest.fixture(scope="module")
def here(store: CheckpointStore) -> ChatSession:
    session = ChatSession(str(store.path_of(5)), ONE_THREAD)
    list(session.load())
    return session


def reply(model: ChatModel, **settings: Any) -> list[Any]:
    config = DecodingConfig(**({"max_tokens": 12, "seed": 1} | settings))
    return list(model.reply(ASKED, config, threading.Event()))


def without_times(events: list[Any]) -> list[Any]:
    end = events[-1]
    assert isinstance(end, GenerationFinished)
    return [*events[:-1], (end.text, end.tail, end.reason, end.prompt_tokens, end.new_tokens)]


def test_loading_says_how_far_it_is_and_then_what_was_loaded(
    remote: RemoteModel, store: CheckpointStore
) -> None:
    *stages, loaded = list(remote.load())
    assert all(isinstance(stage, StageAdvanced) for stage in stages)
    names = list(dict.fromkeys(s.stage for s in stages if isinstance(s, StageAdvanced)))
    assert names == ["importing torch", "checking", "loading weights"]
    for name in names[1:]:
        steps = [s for s in stages if isinstance(s, StageAdvanced) and s.stage == name]
        assert [s.done for s in steps] == sorted(s.done for s in steps)
        assert steps[-1].done == steps[-1].total > 40_000
        assert {(s.total, s.unit) for s in steps} == {(steps[-1].total, "bytes")}
    assert isinstance(loaded, ModelLoaded)
    assert (loaded.name, loaded.step, loaded.path) == ("cloth", 5, str(store.path_of(5)))
    assert (loaded.context_tokens, loaded.has_template) == (8192, True)
    assert remote.facts == loaded


def test_it_says_what_the_session_in_this_process_says(
    remote: RemoteModel, here: ChatSession
) -> None:
    settings: dict[str, Any] = {"top_logprobs": 3, "context_tokens": 64, "stop": ("織",)}
    theirs, ours = reply(remote, **settings), reply(here, **settings)
    assert without_times(theirs) == without_times(ours)
    config = DecodingConfig(**settings, max_tokens=4)
    assert remote.measure(ASKED, config) == here.measure(ASKED, config)
    for written in ([40, 41], "織 text"):
        shown = remote.show_prompt(ASKED, config, written=written)
        assert shown == here.show_prompt(ASKED, config, written=written)
        events = list(remote.reply(ASKED, config, threading.Event(), written=written))
        assert isinstance(events[0], ReplyResumed)
        there = list(here.reply(ASKED, config, threading.Event(), written=written))
        assert events[0] == there[0]
    many = [m for n in range(9) for m in (Message(role="user", content=f"turn {n}"), *ASKED)]
    (trimmed, *_) = remote.reply(many, config, threading.Event())
    assert isinstance(trimmed, ContextTrimmed)


def test_a_stopped_reply_ends_at_once(remote: RemoteModel) -> None:
    stop = threading.Event()
    events: list[Any] = []
    for event in remote.reply(ASKED, ENDLESS, stop):
        events.append(event)
        if len(events) == 3:
            stop.set()
    assert events[-1].reason == "stopped"
    assert events[-1].new_tokens == len(events) - 1 < 3 + WINDOW + 2


def test_questions_are_answered_while_a_reply_is_written_and_not_read(
    remote: RemoteModel,
) -> None:
    stop = threading.Event()
    replying = remote.reply(ASKED, ENDLESS, stop)
    assert isinstance(next(replying), TokenGenerated)
    measured = [remote.measure(ASKED, ENDLESS) for _ in range(400)]
    assert len({*measured}) == 1 and measured[0].prompt_tokens > 4
    stop.set()
    *_, end = replying
    assert isinstance(end, GenerationFinished)
    assert end.new_tokens <= 1 + WINDOW + 1, "no more than that is written ahead"


def test_a_reply_that_is_given_up_leaves_the_model_free(remote: RemoteModel) -> None:
    replying = remote.reply(ASKED, ENDLESS, threading.Event())
    next(replying)
    replying.close()  # type: ignore[attr-defined]
    assert reply(remote)[-1].new_tokens > 0


def test_errors_cross_as_they_are(remote: RemoteModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="999999") as told:
        reply(remote, logit_bias=("999999=+1",))
    with pytest.raises(InputError, match="the prompt has") as filled:
        list(remote.reply([Message(role="user", content="a" * 9000)], ENDLESS, threading.Event()))
    assert told.value.field == "logit_bias" and told.value.code == 2
    assert "a prompt of at most 8,191 tokens" in filled.value.hint
    facts, before = remote.facts, remote.model
    remote.model = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match="there is no model"):
        list(remote.load())
    remote.model = before
    assert remote.facts == facts and reply(remote), "the model before is still there"


def test_a_killed_process_is_an_error_and_the_next_load_starts_another(
    store: CheckpointStore,
) -> None:
    remote = RemoteModel(str(store.path_of(5)), ONE_THREAD)
    list(remote.load())
    replying = remote.reply(ASKED, ENDLESS, threading.Event())
    next(replying)
    os.kill(remote.pid, signal.SIGKILL)
    with pytest.raises(ResourceError, match=r"signal 9.*memory may have run out") as caught:
        list(replying)
    assert "--context" in caught.value.hint
    assert remote.facts is None
    with pytest.raises(ResourceError, match="signal 9"):
        remote.measure(ASKED, ENDLESS)
    *_, loaded = remote.load()
    assert remote.facts == loaded and len(reply(remote)) > 1
    remote.close()
    assert leased(store.directory) <= {"step-000005"}


def test_nothing_native_reaches_the_terminal(
    store: CheckpointStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "sitecustomize.py").write_text(PRINT_AT_IMPORT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    remote = RemoteModel(str(store.path_of(5)), ONE_THREAD)
    assert isinstance([*remote.load()][-1], ModelLoaded)
    remote.close()
    assert capfd.readouterr() == ("", "")
    assert "torn by 1\ntorn by 2\n" in remote.log_tail()


def test_the_child_of_a_killed_parent_stops_and_leaves(tmp_path: Path) -> None:
    store = write_run(tmp_path / "cloth", 3)
    command = [sys.executable, "-c", PARENT, str(store.path_of(3))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None and parent.stdout.readline() == b"token\n"
        assert leased(store.directory) == {"step-000003"}
        parent.kill()
    while leased(store.directory):  # its lock goes with it
        pass


def test_a_model_that_is_let_go_is_not_leased(tmp_path: Path) -> None:
    store = write_run(tmp_path / "cloth", 3, 4)
    session = ChatSession(str(store.path_of(3)), ONE_THREAD)
    list(session.load())
    assert leased(store.directory) == {"step-000003"}
    session.model = str(store.path_of(4))
    list(session.load())
    assert leased(store.directory) == {"step-000004"}
    session.close()
    assert list(store.directory.glob("lease-*")) == []


def test_the_screen_does_not_wait_for_what_only_a_model_needs() -> None:
    code = "import sys, tissu_core.runs.chat.remote_model; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    slow = {"torch", "numpy", "tokenizers", "safetensors", "jinja2", "filelock", "asyncio"}
    assert slow.isdisjoint(modules.split())


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
@pytest.mark.parametrize(("given", "found"), [(None, b"passive"), ("active", b"active")])
def test_its_threads_wait_quietly_unless_a_person_says_otherwise(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch, given: str | None, found: bytes
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    remote = RemoteModel(str(store.path_of(5)), ONE_THREAD)
    list(remote.load())
    environ = Path(f"/proc/{remote.pid}/environ").read_bytes().split(b"\0")
    assert b"OMP_WAIT_POLICY=" + found in environ
    remote.close()
