"""The screen of ``tissu inspect tree`` as a person meets it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
import torch
from textual import events
from textual.keys import key_to_character
from textual.pilot import Pilot

from tests.cli.tui.harness import PATIENCE_SECONDS, played
from tissu_cli.tui.model_tree.app import ModelTreeApp
from tissu_core.checkpoint.weights import save_tensors
from tissu_core.events.tensors import TensorSummarized
from tissu_core.runs.inspect.tree import ModelTree, open_tree

EVIL = "\x1b[2J\x07[@click=app.quit]x[/]"
UP = "model.layers.1.mlp.up_proj.weight"


def tensors() -> dict[str, torch.Tensor]:
    """Twelve layers; one has a dead row and a row of large values."""
    draw = torch.Generator().manual_seed(0)
    made = {"model.embed_tokens.weight": torch.randn(100, 32, generator=draw)}
    for layer in range(12):
        for part, shape in (("self_attn.q_proj", (32, 32)), ("mlp.up_proj", (64, 32))):
            name = f"model.layers.{layer}.{part}.weight"
            made[name] = torch.randn(*shape, generator=draw)
    made[UP][5] = 0
    made[UP][9] *= 20
    made["model.norm.weight"] = torch.ones(32)
    return made


class Screen:
    def __init__(self, app: ModelTreeApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def until(self, holds: Callable[[], object], what: str = "") -> None:
        patience = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            assert time.monotonic() < patience, "\n".join(["it never came", what, self.text])
            if self.app._exception is not None:
                raise self.app._exception
            await asyncio.sleep(0.01)

    async def shows(self, *parts: str) -> None:
        await self.until(lambda: all(part in self.text for part in parts), " ".join(parts))

    async def press(self, *keys: str) -> None:
        for key in keys:
            self.app.post_message(events.Key(key, key_to_character(key)))
            await self.pilot.pause()

    async def search(self, text: str) -> None:
        await self.press("slash")
        for char in text:
            self.app.post_message(
                events.Key({".": "full_stop", "*": "asterisk"}.get(char, char), char)
            )
        await self.press("enter")

    @property
    def text(self) -> str:
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(part.text for part in strip).rstrip() for strip in strips)

    @property
    def names(self) -> list[str]:
        """What the lines of the tree begin with."""
        lines = (line.lstrip("│├└▼▶─ ") for line in self.text.splitlines())
        return [line.split("  ")[0] for line in lines]


@asynccontextmanager
async def opened(
    folder: Path,
    size: tuple[int, int] = (120, 36),
    read: list[str] | None = None,
    may_end: threading.Event | None = None,
) -> AsyncIterator[Screen]:
    with ExitStack() as leases:
        model = open_tree(str(folder), leases)
        if read is not None:
            _spied(model, read, may_end)
        app = ModelTreeApp(model)
        async with app.run_test(size=size, notifications=True) as pilot:
            yield Screen(app, pilot)


def _spied(model: ModelTree, read: list[str], may_end: threading.Event | None) -> None:
    examine = model.examine

    def spy(name: str, bins: int) -> TensorSummarized:
        read.append(name)
        assert may_end is None or may_end.wait(PATIENCE_SECONDS)
        return examine(name, bins)

    model.examine = spy  # type: ignore[method-assign]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_tensors(tmp_path / "model.safetensors", tensors())
    return tmp_path


@played
async def test_the_model_is_shown_by_its_modules_in_the_order_it_computes(folder: Path) -> None:
    read: list[str] = []
    async with opened(folder, read=read) as screen:
        count = sum(tensor.numel() for tensor in tensors().values())
        await screen.shows(f"{count:,} parameters in 26 tensors", "embed_tokens  100 x 32  F32")
        assert read == [], "headers alone were read"
        names = screen.names
        assert names.index("embed_tokens") < names.index("layers") < names.index("norm")
        await screen.press("down", "down", "down")
        await screen.shows("36,864 parameters in 24 tensors")
        await screen.press("enter")
        await screen.shows("▶ 11")
        shown = [name for name in screen.names if name.isdecimal()]
        assert shown == [str(layer) for layer in range(12)]
        assert {*read} <= {"model.embed_tokens.weight"}, "where the cursor may have rested"


@played
async def test_a_tensor_is_read_when_the_cursor_rests_on_it_and_no_other(folder: Path) -> None:
    read: list[str] = []
    async with opened(folder, read=read) as screen:
        await screen.shows("embed_tokens")
        await screen.search("layers.1.mlp")
        await screen.shows("model.layers.1.mlp.up_proj.weight", "rank", "energy")
        await screen.shows("1 dead: 5", "1 far above the usual", ": 9 (", "9, ")
        assert read == [UP]
        await screen.press("up")
        await screen.press("down")
        await screen.shows("1 dead: 5")
        assert read.count(UP) == 1, "what was read is kept"


@played
async def test_of_what_is_passed_over_while_one_is_read_only_the_last_is_read(
    folder: Path,
) -> None:
    read: list[str] = []
    may_end = threading.Event()
    async with opened(folder, read=read, may_end=may_end) as screen:
        await screen.search("layers.*.mlp")
        await screen.until(lambda: read)
        for number in range(2, 10):
            await screen.press("n")
            await screen.shows(f"{number} of 12 found")
        await screen.shows("reading", "model.layers.8.mlp.up_proj.weight")
        may_end.set()
        await screen.shows("model.layers.8.mlp.up_proj.weight", "energy")
        assert read == [f"model.layers.{layer}.mlp.up_proj.weight" for layer in (0, 8)]


@played
async def test_a_search_is_forgiving_and_a_miss_names_the_nearest(folder: Path) -> None:
    async with opened(folder) as screen:
        await screen.search("layer.3.up")
        await screen.shows("1 of 1 found", "model.layers.3.mlp.up_proj.weight")
        await screen.search("q_proj")
        await screen.shows("1 of 12 found", "model.layers.0.self_attn.q_proj.weight")
        await screen.press("n")
        await screen.shows("2 of 12 found")
        await screen.press("N", "N")
        await screen.shows("12 of 12 found", "model.layers.11.self_attn.q_proj.weight")
        await screen.search("layers.99.up")
        await screen.shows("no tensor matches 'layers.99.up'", "did you mean")
        await screen.search("")
        await screen.press("slash", "escape")
        assert screen.app.focused is screen.app.side


@played
async def test_the_largest_are_first_when_asked(folder: Path) -> None:
    async with opened(folder) as screen:
        await screen.search("layers.2.up")
        await screen.shows("self_attn", "up_proj  64 x 32")
        names = screen.names
        assert names.index("embed_tokens") < names.index("layers")
        await screen.press("s")
        await screen.until(
            lambda: screen.names.index("layers") < screen.names.index("embed_tokens")
        )
        await screen.shows("the largest first")
        assert screen.names.index("mlp") < screen.names.index("self_attn"), "and still open"
        await screen.shows("model.layers.2.mlp.up_proj.weight", "energy")
        await screen.press("s")
        await screen.until(
            lambda: screen.names.index("embed_tokens") < screen.names.index("layers")
        )


@played
async def test_values_that_are_no_numbers_are_named(folder: Path) -> None:
    changed = tensors()
    changed["model.norm.weight"][7] = torch.nan
    save_tensors(folder / "model.safetensors", changed)
    async with opened(folder) as screen:
        await screen.search("norm")
        await screen.shows("NaN 1", "at [7]")


@played
async def test_a_spectrum_that_takes_long_is_left_out_and_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tissu_core.interpret.tensors.summaries._QUICK", 0)
    async with opened(folder) as screen:
        await screen.search("layers.1.mlp")
        await screen.shows("1 dead: 5", "its spectrum takes long", "--spectrum")
        assert "energy" not in screen.text
        await screen.search("norm")
        await screen.shows("model.norm.weight", "float32")
        assert "takes long" not in screen.text


@played
async def test_a_file_that_is_damaged_meanwhile_is_told(folder: Path) -> None:
    async with opened(folder) as screen:
        await screen.shows("embed_tokens")
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-50])
        await screen.search("norm")
        await screen.shows("no whole safetensors", "try: use another copy")
        await screen.press("up")
        await screen.shows("parameters in")


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (30, 7), (12, 3), (200, 60), (2, 1)])
@played
async def test_every_size_gets_what_fits(folder: Path, size: tuple[int, int]) -> None:
    async with opened(folder, size=size) as screen:
        await screen.search("layers.1.mlp")
        await screen.until(lambda: screen.app.details.num_read)
        await screen.pilot.pause(0.1)
        assert len(screen.text.split("\n")) == size[1]
        if size >= (80, 24):
            await screen.shows("up_proj  64 x 32", "1 dead: 5" if size[1] > 30 else "energy")


@played
async def test_names_of_others_are_drawn_harmlessly(folder: Path) -> None:
    name = f"model.{EVIL.replace('.', '')}.weight"
    save_tensors(folder / "model.safetensors", {name: torch.ones(8, 8)})
    async with opened(folder) as screen:
        await screen.shows("␛[2J")
        await screen.press("down", "down")
        await screen.until(lambda: screen.app.details.num_read)
        assert not {"\x1b", "\x07", "\ufffd"} & {*screen.text}
        await screen.press("q")
        await screen.until(lambda: not screen.app.is_running)
