"""``tissu eval report`` and ``tissu eval adversarial`` through the real command."""

import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Trained
from tissu_core.runs.evaluate import report_sections as making

SUITE = """
name = "cloth"
about = "of the loom"
metric = "choice"

[[items]]
id = "light"
prompt = "The light"
choices = ["longest.", "shortest."]
answer = "longest."

[[items]]
id = "rain"
prompt = "The rain came"
choices = ["surprised.", "square."]
answer = "surprised."

[[items]]
id = "not-rain"
prompt = "No rain came"
choices = ["surprised.", "square."]
answer = "surprised."
kind = "negation"
of = "rain"
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "cloth.toml"
    path.write_text(SUITE)
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("The weaver set the loom beside the window.\n\nBy noon the cloth was wide.\n")
    return path


def test_a_report_has_what_was_asked_for_in_each_format(
    trained_once: Trained, suite: Path, text: Path, tmp_path: Path
) -> None:
    md, html, js = (tmp_path / f"report.{kind}" for kind in ("md", "html", "json"))
    asked = ["--data", text, "--suite", suite, "--errors", "2", "--leaks", trained_once.corpus]
    files = ["-o", md, "-o", html, "-o", js]
    made = trained_once.tissu("eval", "report", "cloth", *files, *asked)
    assert made.code == 0, made.err
    report = json.loads(js.read_text())
    kinds = [found["event"] for section in report["sections"] for found in section["findings"]]
    assert kinds == ["PerplexityMeasured", "SuiteScored", "WorstFound", "LeaksFound"]
    alone = trained_once.tissu("eval", "ppl", text, "-m", "cloth", "--json").json
    found = report["sections"][0]["findings"][0]
    assert found["bits_per_byte"] == pytest.approx(alone["bits_per_byte"])
    bits = f"{alone['bits_per_byte']:.4f}"
    assert f"| bits per byte | {bits} |" in md.read_text() and bits in html.read_text()
    for word in ("hidden\\_size", "torch", "### Worst passages", "```text"):
        assert word in md.read_text()
    HTMLParser().feed(html.read_text())
    assert "http" not in html.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_a_report_has_all_that_is_measured_elsewhere(
    trained_once: Trained, suite: Path, text: Path, tmp_path: Path
) -> None:
    out, page = tmp_path / "r.json", tmp_path / "r.html"
    asked = ["--data", text, "--suite", suite, "--documents", "2", "--compare", trained_once.run]
    asked += ["--speed", "--price-per-hour", "0.5", "--ops", "gelu"]
    made = trained_once.tissu("eval", "report", "cloth", "-o", out, "-o", page, *asked)
    assert made.code == 0, made.err
    titled = {each["title"]: each["findings"] for each in json.loads(out.read_text())["sections"]}
    assert [*titled] == ["Perplexity", "Comparison", f"Suite {suite}", "Speed", "Operations"]
    assert len(titled["Perplexity"][0]["documents"]) == 1
    (compared,) = titled["Comparison"]
    assert [each["difference"] for each in compared["models"]] == [0, 0]
    assert [each["suite"] for each in compared["suites"]] == ["cloth"]
    assert all(point["price_per_million_tokens"] > 0 for point in titled["Speed"][0]["points"])
    assert titled["Operations"][0]["table"]["num_tokens"] > 0
    drawn = page.read_text()
    assert drawn.count("<svg") == 2 and "tokens a second, written" in drawn
    for option in ("--documents=2", f"--compare={trained_once.run}", "--price-per-hour=1"):
        refused = trained_once.tissu("eval", "report", "cloth", "-o", out, option)
        assert refused.code == 2 and option.split("=")[0] in refused.err


def test_the_same_seed_gives_the_same_report(
    trained_once: Trained, suite: Path, tmp_path: Path
) -> None:
    found = []
    for seed in ("3", "3", "5"):
        out = tmp_path / "r.json"
        options = ["-o", out, "--suite", suite, "--limit", "1", "--seed", seed]
        assert trained_once.tissu("eval", "report", "cloth", *options).code == 0
        report = json.loads(out.read_text())
        findings = [each for section in report["sections"] for each in section["findings"]]
        found.append([{**each, "seconds": 0} for each in findings])
    assert found[0] == found[1] != found[2]


def test_all_sections_are_of_one_model_and_their_commands_measure_the_same(
    trained_copy: Callable[[], Trained],
    suite: Path,
    text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained, measure = trained_copy(), making.measure_perplexity

    def and_a_run_ends(*asked: Any, **options: Any) -> Iterator[Any]:
        yield from measure(*asked, **options)
        later = trained.run.with_name("later")
        shutil.copytree(trained.run, later)
        os.utime(later / "events.jsonl", (2e9, 2e9))

    monkeypatch.setattr(making, "measure_perplexity", and_a_run_ends)
    apart = text.rename(tmp_path / "my text.txt")
    out = tmp_path / "r.json"
    asked = ["--data", apart, "--suite", suite, "--errors", "2", "--leaks", trained.corpus]
    made = trained.tissu("eval", "report", "-o", out, *asked)
    assert made.code == 0, made.err
    report = json.loads(out.read_text())
    assert report["path"] == str(trained.run / "model")
    for section in report["sections"]:
        (found,) = section["findings"]
        assert found["model"] == report["path"]
        alone = trained.tissu(*shlex.split(section["command"])[1:], "--json")
        assert alone.code == 0, alone.err
        if section["title"] != "Worst passages":
            assert {**alone.json, **_TIMES} == {**found, **_TIMES}


_TIMES = {"seconds": 0, "prefill_tokens_per_second": 0}


def test_memory_that_does_not_suffice_ends_its_section_alone(
    trained_once: Trained, suite: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: Any, **__: Any) -> Iterator[Any]:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(making, "measure_perplexity", too_large)
    out = tmp_path / "r.md"
    made = trained_once.tissu(
        "eval", "report", "cloth", "-o", out, "--data", text, "--suite", suite
    )
    assert made.code == 4 and "Traceback" not in made.err
    assert "Failed: there is not enough memory" in out.read_text()
    assert "cloth (choice)" in out.read_text()


def test_what_fails_is_a_section_that_says_so(
    trained_once: Trained, suite: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.md"
    asked = ["--data", tmp_path / "none.txt", "--suite", suite]
    made = trained_once.tissu("eval", "report", "cloth", "-o", out, *asked)
    assert made.code == 3  # as ``eval ppl`` of it ends
    assert "failed:" in made.out and "Failed:" in out.read_text()
    assert "cloth (choice)" in out.read_text()


def test_a_readme_keeps_what_is_not_between_its_markers(
    trained_once: Trained, suite: Path, tmp_path: Path
) -> None:
    readme = tmp_path / "README.md"
    begin, end = "<!-- tissu report: begin -->", "<!-- tissu report: end -->"
    told = f"Results stand between `{begin}` and `{end}`."
    readme.write_bytes(f"# Mine\r\n{told}\r\n{begin}\r\nold\r\n{end}\r\nthe rest\r\n".encode())
    options = ["--readme", readme, "--suite", suite]
    for _ in range(2):
        assert trained_once.tissu("eval", "report", "cloth", *options).code == 0
    assert b"\n" not in readme.read_bytes().replace(b"\r\n", b"")
    lines = readme.read_text().splitlines()
    assert lines[:2] == ["# Mine", told] and lines[-1] == "the rest" and "old" not in lines
    assert sum("cloth (choice)" in line for line in lines) == 1


def test_a_report_that_could_not_be_written_is_refused_first(
    trained_once: Trained, suite: Path, tmp_path: Path
) -> None:
    def refused(*options: object) -> tuple[int, str]:
        made = trained_once.tissu("eval", "report", "cloth", *options)
        return made.code, made.err

    assert refused("--suite", suite)[0] == 2
    assert refused("-o", tmp_path / "r.pdf", "--suite", suite)[0] == 2
    assert refused("-o", tmp_path / "r.md")[0] == 2
    for option, value in (("--errors", "3"), ("--leaks", str(trained_once.corpus))):
        code, error = refused("-o", tmp_path / "r.md", option, value, "--speed")
        assert code == 2 and f"{option} {value} --data DATA" in error
    assert refused("-o", tmp_path / "no" / "r.md", "--suite", suite)[0] == 3
    plain = tmp_path / "PLAIN.md"
    turned = "<!-- tissu report: end -->\n<!-- tissu report: begin -->\n"
    plain.write_text(turned)
    code, error = refused("--readme", plain, "--suite", suite)
    assert code == 3 and "begin" in error and plain.read_text() == turned


def test_harder_forms_are_scored_apart(trained_once: Trained, suite: Path) -> None:
    (found,) = trained_once.tissu("eval", "adversarial", suite, "-m", "cloth", "--json").json[
        "suites"
    ]
    pairs = {kind["kind"]: kind["num_pairs"] for kind in found["kinds"]}
    # Few distractors fit into the 32 tokens that this model reads.
    assert (pairs["negation"], pairs["typos"]) == (1, 2)
    for kind in found["kinds"]:
        assert kind["gap"] == pytest.approx(kind["plain"] - kind["hard"])
    one = trained_once.tissu(
        "eval", "adversarial", suite, "-m", "cloth", "--kind", "typos", "--json"
    )
    assert [kind["kind"] for kind in one.json["suites"][0]["kinds"]] == ["typos"]
    wrong = trained_once.tissu("eval", "adversarial", suite, "-m", "cloth", "--kind", "typoes")
    assert (wrong.code, "typos" in wrong.error[2]) == (2, True)
    drawn = trained_once.tissu("eval", "adversarial", suite, "-m", "cloth").out
    assert "negation" in drawn and "broken" in drawn and "too few pairs" in drawn
