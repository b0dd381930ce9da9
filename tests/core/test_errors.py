import pytest

from tissu_core import errors
from tissu_core.errors import ConfigError, TissuError, nearest


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("TissuError", 1),
        ("ConfigError", 2),
        ("InputError", 3),
        ("ResourceError", 4),
        ("BusyError", 5),
        ("IntegrityError", 6),
        ("DivergedError", 8),
    ],
)
def test_exit_codes_are_fixed(name: str, code: int) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, TissuError)
    assert kind.code == code


def test_an_error_says_what_is_safe_and_what_to_type() -> None:
    error = TissuError("it broke", hint="mend it", safe="the model")
    assert (str(error), error.safe, error.hint) == ("it broke", "the model", "mend it")
    refusal = ConfigError("wrong", field="steps", hint="use 1")
    assert (refusal.field, refusal.safe) == ("steps", "nothing was changed")


def test_the_nearest_names_come_first() -> None:
    known = ["model.layers.0", "model.layers.1", "training.steps", "training.seed"]
    assert nearest("training.step", known)[0] == "training.steps"
    assert nearest("xyzzy", known) == []
    assert len(nearest("model.layers", known, limit=1)) == 1
