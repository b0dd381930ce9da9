"""Models that are on the machine already: found, used in place, imported, checked, removed."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Copy, Tissu, Trained, snapshot
from tests.end_to_end.test_model_files import as_gguf

NAMES = {
    "hub:org/cloth",
    "ollama:llama3.2:1b",
    "ollama:someone/tale:latest",
    "ollama:hf.co/org/tale:Q4",
    "lmstudio:org/tale-GGUF/tale-Q4.0",
}


def put(file: Path, content: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def fill_hub(root: Path, model: Path) -> Path:
    """A repository as the hub's library lays it out, and one that came only in part."""
    repo, commit = root / "hub" / "models--org--cloth", "c" * 40
    put(repo / "refs" / "main", commit.encode())
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file in model.iterdir():
        content = file.read_bytes()
        if file.name != "tissu.json":
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            is_large = file.suffix == ".safetensors"
            blob = repo / "blobs" / (hashlib.sha256(content).hexdigest() if is_large else git)
            put(blob, content)
            (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
    half = root / "hub" / "models--org--half"
    put(half / "refs" / "main", commit.encode())
    put(half / "snapshots" / commit / "config.json", b"{}")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    put(half / "snapshots" / commit / "model.safetensors.index.json", json.dumps(index).encode())
    return snapshot


def fill_ollama(root: Path) -> Path:
    content = b"GGUF and so on"
    digest = hashlib.sha256(content).hexdigest()
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "1" * 64},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"},
    ]
    evil = [{"mediaType": "application/vnd.ollama.image.model", "digest": "../../secret"}]
    manifests = root / "manifests"
    for name, value in {
        "registry.ollama.ai/library/llama3.2/1b": {"layers": layers},
        "registry.ollama.ai/someone/tale/latest": {"layers": layers},
        "hf.co/org/tale/Q4": {"layers": layers},
        "registry.ollama.ai/library/evil/latest": {"layers": evil},
        "registry.ollama.ai/library/odd/latest": ["layers"],
    }.items():
        put(manifests / name, json.dumps(value).encode())
    put(root.parent / "secret", b"GGUF of another person")
    return put(root / "blobs" / f"sha256-{digest}", content)


@pytest.fixture
def machine(trained_once: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder in which three other programs keep models."""
    user = tmp_path / "user"
    monkeypatch.setenv("HOME", str(user))
    monkeypatch.setenv("USERPROFILE", str(user))
    for name in ("HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "OLLAMA_MODELS"):
        monkeypatch.delenv(name, raising=False)
    fill_hub(user / ".cache" / "huggingface", trained_once.run / "model")
    fill_ollama(user / ".ollama" / "models")
    repo = user / ".lmstudio" / "models" / "org" / "tale-GGUF"
    put(repo / "tale-Q4.0.gguf", b"GGUF")
    put(repo / "mmproj-tale.gguf", b"GGUF")
    return user


def test_a_scan_finds_what_other_programs_keep(tissu: Tissu, machine: Path) -> None:
    found = tissu("models", "scan", "--json").json["models"]
    assert {model["name"] for model in found} == NAMES
    assert all(Path(model["path"]).exists() for model in found)
    table = tissu("models", "scan").out
    assert "lmstudio:org/tale-GGUF/tale-Q4.0" in table and "Ollama" in table


def test_every_name_of_a_scan_is_a_model(tissu: Tissu, machine: Path) -> None:
    for model in tissu("models", "scan", "--json").json["models"]:
        shown = tissu("models", "show", model["name"], "--json")
        assert shown.json["path"] == model["path"]
        assert shown.json["num_bytes"] == model["num_bytes"]
    before = snapshot(machine)
    assert tissu("generate", "hub:org/cloth", "-p", "The", "--max-tokens", "3").code == 0
    assert tissu("models", "show", "ollama:someone/tale").code == 0, "latest is the tag left out"
    assert snapshot(machine) == before and not tissu.home.exists()


def test_stores_are_found_where_their_programs_are_told_to_keep_them(
    tissu: Tissu, machine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(machine / ".cache" / "huggingface" / "hub"))
    monkeypatch.setenv("OLLAMA_MODELS", str(machine / ".ollama" / "models"))
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    found = {model["name"] for model in tissu("models", "scan", "--json").json["models"]}
    assert found == {name for name in NAMES if not name.startswith("lmstudio")}


def test_a_machine_without_them_has_none(
    tissu: Tissu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "OLLAMA_MODELS"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    assert tissu("models", "scan", "--json").json == {"models": []}
    assert tissu("models", "scan").code == 0


@pytest.mark.parametrize(
    "name",
    ["ollama:llama3.3:1b", "ollama:evil", "hub:org/half", "hub:../..", "lmstudio:../secret"],
)
def test_a_name_that_no_program_keeps_is_refused(tissu: Tissu, machine: Path, name: str) -> None:
    result = tissu("models", "show", name)
    assert result.code == 3
    assert f"no model {name!r} on this machine" in result.error[0]


def test_blobs_are_checked_by_the_names_they_have(tissu: Tissu, machine: Path) -> None:
    assert tissu("models", "verify", "ollama:llama3.2:1b").out.split()[-3:] == ["ok,", "1", "file"]
    for blob in (machine / ".ollama" / "models" / "blobs").iterdir():
        blob.write_bytes(b"other bytes")
    damaged = tissu("models", "verify", "ollama:llama3.2:1b")
    assert damaged.code == 6
    assert hashlib.sha256(b"other bytes").hexdigest() in damaged.error[0]
    hub = machine / ".cache" / "huggingface" / "hub"
    assert tissu("models", "verify", "hub:org/cloth").code == 0
    config = next(hub.glob("models--org--cloth/snapshots/*/config.json"))
    config.resolve().write_bytes(config.read_bytes() + b" ")
    assert "promised was git:" in tissu("models", "verify", "hub:org/cloth").error[0]


def test_a_directory_is_imported_in_place_or_copied(trained_copy: Copy, tmp_path: Path) -> None:
    copy = trained_copy()
    tissu, place = Tissu(tmp_path / "other-home"), tmp_path / "My model"
    shutil.copytree(copy.run / "model", place)
    before = snapshot(place)
    linked = tissu("models", "import", place, "--json")
    assert linked.code == 0, linked.err
    assert (linked.json["name"], linked.json["path"]) == ("My-model", str(place))
    assert "here already" in tissu("models", "import", place).err
    assert tissu("models", "import", place, "-o", "twin", "--copy").code == 0
    twin = tissu.home / "models" / "twin"
    assert (twin / "model.safetensors").read_bytes() == (place / "model.safetensors").read_bytes()
    listed = {model["name"]: model for model in tissu("models", "list", "--json").json["models"]}
    assert listed["My-model"]["source"] == listed["twin"]["source"] == "file"
    assert listed["My-model"]["num_bytes"] > 1000
    for name in listed:
        assert tissu("generate", name, "-p", "The", "--max-tokens", "3").code == 0
    assert tissu("models", "verify").code == 0
    mean = tissu("models", "average", "My-model", "twin", "--json")
    assert mean.json["name"] == "My-model-average"
    assert tissu("models", "rm", "My-model", "--yes").code == 0
    assert snapshot(place) == before, "what is used in place stays"
    shutil.rmtree(place)
    assert tissu("generate", "twin", "-p", "The", "--max-tokens", "3").code == 0


def test_a_model_whose_files_are_gone_says_so(trained_copy: Copy, tmp_path: Path) -> None:
    tissu, place = Tissu(tmp_path / "other-home"), tmp_path / "model"
    shutil.copytree(trained_copy().run / "model", place)
    assert tissu("models", "import", place).code == 0
    place.rename(tmp_path / "moved")
    used = tissu("generate", "model", "-p", "x")
    assert used.code == 3 and f"{place} is gone" in used.error[0]
    assert "unreadable" in tissu("models", "list").out
    assert tissu("models", "verify").code == 6
    assert tissu("models", "rm", "model", "--yes").code == 0
    assert tissu("models", "list", "--json").json == {"models": []}


def test_a_changed_file_of_a_model_is_found(trained_copy: Copy, tmp_path: Path) -> None:
    tissu, place = Tissu(tmp_path / "other-home"), tmp_path / "model"
    shutil.copytree(trained_copy().run / "model", place)
    assert tissu("models", "import", place, "-o", "linked").code == 0
    file = place / "tokenizer.json"
    file.write_bytes(file.read_bytes() + b" ")
    found = tissu("models", "verify", "--json")
    assert found.code == 6
    (problem,) = found.json["models"][0]["problems"]
    assert problem.count("sha256:") == 2 and str(file) in problem


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"text", "is no model"),
        ("weights.bin", b"pickle", "is a pickle"),
        ("folder/config.json", b"{}", "is no model"),
        ("folder/pytorch_model.bin", b"pickle", "is a pickle"),
    ],
)
def test_what_is_no_model_is_not_imported(
    tissu: Tissu, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    put(tmp_path / name, content)
    result = tissu("models", "import", tmp_path / name.split("/")[0])
    assert result.code == 3 and words in result.error[0]
    assert not (tissu.home / "models").exists()


def test_a_gguf_is_imported_by_its_name(
    trained_once: Trained, tissu: Tissu, tmp_path: Path
) -> None:
    blob, file = as_gguf(trained_once, tmp_path / "0123abcd"), tmp_path / "Tale-Q4.gguf"
    file.symlink_to(blob)
    assert tissu("models", "import", file).code == 0
    assert tissu("models", "show", "Tale-Q4", "--json").json["path"] == str(file)
    assert tissu("models", "verify", "Tale-Q4").code == 0
    file.write_bytes(b"GGUX")
    assert tissu("models", "verify", "Tale-Q4").code == 6


def test_removing_needs_a_yes_and_a_model_of_the_store(trained_copy: Copy) -> None:
    tissu = trained_copy().tissu
    assert tissu("models", "average", "cloth", "cloth", "-o", "soup").code == 0
    asked = tissu("models", "rm", "soup")
    assert asked.code == 2 and "needs a yes" in asked.error[0]
    run = tissu("models", "rm", "cloth", "--yes")
    assert run.code == 3 and run.error[2] == "try: tissu runs rm cloth"
    assert "did you mean soup" in tissu("models", "rm", "sop", "--yes").error[2]
    assert tissu("models", "rm", "soup", "--yes").code == 0
    assert not (tissu.home / "models" / "soup").exists()


def test_a_model_of_a_run_is_shown(trained_once: Trained) -> None:
    shown = trained_once.tissu("models", "show", "cloth", "--json").json
    assert shown["architecture"] == "qwen3"
    assert shown["context_tokens"] == 32 and shown["has_template"] is False
    assert len(shown["files"]) >= 5
    assert "none: a base model" in trained_once.tissu("models", "show", "cloth").out
    assert trained_once.tissu("models", "verify").code == 0
