"""Keys have names of their own, and every class takes its keys from the one table."""

import inspect
import pkgutil
from importlib import import_module

import pytest
from textual.binding import Binding

import tissu_cli.tui
from tissu_cli.tui.keys import ALL, PRESETS, actions, described, keymap
from tissu_core.errors import ConfigError


def bound_anywhere() -> list[Binding]:
    modules = [
        import_module(f"tissu_cli.tui.{each.name}")
        for each in pkgutil.iter_modules(tissu_cli.tui.__path__)
    ]
    return [
        binding
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
        for binding in Binding.make_bindings(kind.__dict__.get("BINDINGS", []))
    ]


def test_every_key_stands_in_the_table_under_a_name_of_its_own() -> None:
    ids = [binding.id for binding in ALL]
    assert None not in ids and len(ids) == len({*ids})
    found = bound_anywhere()
    assert len(found) >= len(ALL)
    assert {binding.id for binding in found} == {*ids}


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_name_what_there_is(preset: str) -> None:
    assert {*PRESETS[preset]} <= {binding.id for binding in ALL}
    assert dict(keymap(preset, [])) == PRESETS[preset]


def test_every_key_can_be_bound_anew_and_is_shown_so() -> None:
    keys = keymap("default", [f"{binding.id}=f9" for binding in ALL])
    assert set(actions(ALL, keys)) == {"f9"}
    assert {key for key, _ in described(keys)} == {"f9"}
    assert all(
        f"({binding.id})" in text for binding, (_, text) in zip(ALL, described(keys), strict=True)
    )


@pytest.mark.parametrize("change", ["sned=f9", "send=", "send", "=f9"])
def test_a_wrong_change_names_what_is_wrong(change: str) -> None:
    with pytest.raises(ConfigError, match=r"chat\.keys"):
        keymap("default", [change])
