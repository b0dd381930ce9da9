import json
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from tissu_core.events.records import to_record
from tissu_core.events.shared import Noticed
from tissu_core.events.training import Planned, StepFinished, TrainEvent, from_record

VALUES: dict[Any, Any] = {str: "織 \x1b", int: 7, float: 0.25, bool: True}


def example(kind: type) -> Any:
    return kind(
        **{field.name: value_of(get_type_hints(kind)[field.name]) for field in fields(kind)}
    )


def value_of(hint: Any) -> Any:
    parts = get_args(hint)
    if get_origin(hint) is tuple:
        return tuple(map(value_of, parts[:1] * 2 if parts[-1] is Ellipsis else parts))
    if is_dataclass(hint):
        return example(hint)  # type: ignore[arg-type]
    first = (*parts, hint)[0]  # of a union or of literals
    return VALUES.get(first, first)


@pytest.mark.parametrize("kind", get_args(TrainEvent))
def test_every_event_survives_the_log(kind: type) -> None:
    event = example(kind)
    line = json.dumps({"time": 1.5, **to_record(event)})
    assert from_record(json.loads(line)) == event


@pytest.mark.parametrize("kind", get_args(TrainEvent))
def test_events_cannot_be_changed(kind: type) -> None:
    event = example(kind)
    with pytest.raises(FrozenInstanceError):
        setattr(event, fields(kind)[0].name, None)
    hash(event)


def test_unknown_and_incomplete_lines_are_passed_over() -> None:
    record = to_record(Noticed(level="info", text="x"))
    assert from_record({"event": "FromTheFuture", "text": "x"}) is None
    assert from_record({}) is None
    assert from_record({key: value for key, value in record.items() if key != "text"}) is None


def test_fields_of_a_newer_version_are_passed_over() -> None:
    event = Noticed(level="warning", text="x")
    assert from_record({**to_record(event), "colour": "red"}) == event


def test_logs_of_an_older_version_are_read() -> None:
    """What a kind learned to say later has a default."""
    record = to_record(example(Planned))
    del record["learned_tokens"], record["learning_parameters"]
    found = from_record(record)
    assert isinstance(found, Planned) and found.learned_tokens is None


def test_lists_come_back_as_tuples() -> None:
    found = from_record(json.loads(json.dumps(to_record(example(Planned)))))
    assert isinstance(found, Planned)
    assert found.reasons == ("織 \x1b", "織 \x1b")


def test_a_record_names_its_kind_first() -> None:
    assert next(iter(to_record(example(StepFinished)).items())) == ("event", "StepFinished")
