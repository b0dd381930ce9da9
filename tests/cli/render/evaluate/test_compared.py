"""Models side by side, drawn."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tissu_cli.render.evaluate.compared import compared_view
from tissu_core.events.compared import (
    ModelCompared,
    ModelsCompared,
    SettingDiffers,
    SuiteCompared,
    SuiteOfModel,
)


def model(name: str, difference: float = 0.0, spread: float | None = 0.0) -> ModelCompared:
    return ModelCompared(
        model=name,
        path=f"/models/{name}",
        num_parameters=135_000_000,
        num_bytes=98_000_000,
        weights="Q4_1, F32",
        vocab_size=49_152,
        context_tokens=8192,
        stride=4096,
        loss=1.5,
        perplexity=4.482,
        bits_per_byte=0.75 + difference,
        num_tokens=300,
        tokens_per_byte=0.25,
        difference=difference,
        low=None if spread is None else difference - spread,
        high=None if spread is None else difference + spread,
        is_beyond_chance=spread is not None and abs(difference) > spread,
        prefill_tokens_per_second=512.0,
    )


def compared(*models: ModelCompared, **changes: object) -> ModelsCompared:
    event = ModelsCompared(
        models=models,
        num_bytes=27_559,
        num_documents=12,
        unit="passages",
        num_units=60,
        unit_bytes=512,
        resamples=5000,
        confidence=0.95,
        seed=0,
        have_one_tokenizer=True,
        settings=(),
    )
    return replace(event, **changes)  # type: ignore[arg-type]


def drawn(event: ModelsCompared, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(compared_view(event))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def line_of(lines: list[str], name: str, number: int = 0) -> str:
    return [line for line in lines if line.startswith(name)][number]


def test_each_model_is_better_worse_equal_or_within_chance() -> None:
    models = [model("wool", -0.1, 0.02), model("silk", 0.1, 0.02), model("felt", 0.01, 0.02)]
    lines = drawn(compared(model("base"), *models, model("again")))
    assert "the first" in line_of(lines, "base")
    words = {"wool": "better", "silk": "worse", "felt": "within chance", "again": "equal"}
    for name, word in words.items():
        assert line_of(lines, name).endswith(word)
    assert "-0.1000" in line_of(lines, "wool") and "-0.1200 to -0.0800" in line_of(lines, "wool")


def test_an_interval_is_drawn_where_it_lies() -> None:
    models = [model("wool", -0.1, 0.02), model("silk", 0.1, 0.02), model("felt", 0.01, 0.02)]
    lines = drawn(compared(model("base"), *models))
    wool, silk, felt = (line_of(lines, name, 1) for name in ("wool", "silk", "felt"))
    middle = wool.index("│")
    assert silk.index("│") == middle, "nothing crosses the first model's line"
    assert wool.index("╋") < middle < silk.index("╋")
    assert "│" not in felt and felt.index("━") < middle < felt.rindex("━")


def test_a_word_where_tokens_do_not_compare_and_where_text_is_too_little() -> None:
    models = model("base"), model("wool", -0.1, 0.02)
    assert "do not compare" not in " ".join(drawn(compared(*models)))
    differing = " ".join(drawn(compared(*models, have_one_tokenizer=False)))
    assert "perplexities and losses per token do not compare" in differing
    little = drawn(compared(model("base", 0, None), model("wool", -0.1, None)))
    assert "too little text" in " ".join(little)
    assert not any("━" in line or "better" in line for line in little)


def test_of_suites_more_is_better() -> None:
    worse = SuiteOfModel(value=0.4, difference=-0.2, low=-0.3, high=-0.1, is_beyond_chance=True)
    first = replace(worse, value=0.6, difference=0.0, low=0.0, high=0.0, is_beyond_chance=False)
    suite = SuiteCompared(
        suite="sums", metric="exact", sha256="", num_items=50, chance=0.25, models=(first, worse)
    )
    lines = drawn(compared(model("base"), model("wool", -0.1, 0.02), suites=(suite,)))
    title = next(number for number, line in enumerate(lines) if " sums " in line)
    assert "60.0" in lines[title + 1]
    assert lines[title + 2].split() == ["wool", "40.0", "-20.0", "-30.0", "to", "-10.0", "worse"]
    assert "50 items" in lines[title + 3] and "25.0" in lines[title + 3]


def test_settings_are_a_column_for_each_model() -> None:
    settings = (SettingDiffers(name="optimizer.learning_rate", values=("0.03", "")),)
    lines = drawn(compared(model("base"), model("wool"), settings=settings))
    assert line_of(lines, "optimizer").split() == ["optimizer.learning_rate", "0.03", "-"]


@pytest.mark.parametrize("width", [80, 160])
def test_it_fits_the_terminal(width: int) -> None:
    names = ["models/a-long-name-of-a-model-135M-Q4_1.gguf", "wool\x1b[2J"]
    settings = tuple(
        SettingDiffers(name=f"model.key_{key}", values=("a value " * 9, "-")) for key in range(3)
    )
    event = compared(*(model(name, 0.1, 0.01) for name in names), settings=settings)
    lines = drawn(event, width)
    assert max(map(len, lines)) <= width
    assert "\x1b[2J" not in "".join(lines) and "…" not in "".join(lines)
    assert "+0.0900 to +0.1100" in "".join(lines)
