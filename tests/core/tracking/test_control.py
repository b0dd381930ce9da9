import json
import os
import random
from pathlib import Path

import pytest

from tissu_core.errors import ResourceError
from tissu_core.events.shared import Noticed
from tissu_core.tracking.control import CONTROL_FILE, Control, request


def append(directory: Path, data: bytes) -> None:
    with (directory / CONTROL_FILE).open("ab") as file:
        file.write(data)


def warnings(found: list[object]) -> int:
    return sum(isinstance(each, Noticed) for each in found)


def test_what_is_asked_is_read_once_and_in_order(tmp_path: Path) -> None:
    control = Control(tmp_path)
    assert control.poll() == []
    request(tmp_path, "pause")
    request(tmp_path, "stop now")
    assert control.poll() == ["pause", "stop now"]
    assert control.poll() == []
    request(tmp_path, "save")
    assert control.poll() == ["save"]


def test_what_was_asked_of_an_earlier_session_is_over(tmp_path: Path) -> None:
    request(tmp_path, "stop")
    control = Control(tmp_path)
    assert control.poll() == []
    request(tmp_path, "sample")
    assert control.poll() == ["sample"]


def test_a_half_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    control = Control(tmp_path)
    append(tmp_path, b'{"request": "sa')
    assert control.poll() == []
    append(tmp_path, b've"}\n{"requ')
    assert control.poll() == ["save"]


def test_a_request_behind_somebody_elses_half_line_is_read(tmp_path: Path) -> None:
    control = Control(tmp_path)
    append(tmp_path, b'{"request": "sa')
    request(tmp_path, "pause")
    asked = control.poll()
    assert (asked[-1], warnings(asked)) == ("pause", 1)


NONSENSE = [
    b"\x00\xff\xfe",
    b"[" * 5000,
    b'{"request": "rm -rf"}',
    b'{"request": ["stop"]}',
    b'{"request": {}}',
    b'"stop"',
    b"null",
    b"7",
    b"{}",
]


@pytest.mark.parametrize("line", NONSENSE)
def test_nonsense_costs_one_warning_and_no_request(tmp_path: Path, line: bytes) -> None:
    control = Control(tmp_path)
    append(tmp_path, line + b"\n\n" + line + b'\n{"request": "evaluate", "more": 1}\n')
    asked = control.poll()
    assert (warnings(asked), asked[-1]) == (1, "evaluate")
    append(tmp_path, line + b"\n")
    assert control.poll() == [], "said once"


def test_a_giant_file_is_passed_over(tmp_path: Path) -> None:
    control = Control(tmp_path)
    with (tmp_path / CONTROL_FILE).open("wb") as file:
        file.truncate(1 << 40)
    assert warnings(control.poll()) == 1
    os.truncate(tmp_path / CONTROL_FILE, 0)
    assert control.poll() == []
    request(tmp_path, "save")
    assert control.poll() == ["save"]


def test_a_file_that_is_cut_asks_for_nothing_again(tmp_path: Path) -> None:
    control = Control(tmp_path)
    for _ in range(3):
        request(tmp_path, "sample")
    assert len(control.poll()) == 3
    first = (tmp_path / CONTROL_FILE).read_bytes().split(b"\n")[0] + b"\n"
    (tmp_path / CONTROL_FILE).write_bytes(first)
    assert control.poll() == []
    request(tmp_path, "save")
    assert control.poll() == ["save"]


def test_a_file_that_was_removed_may_come_back(tmp_path: Path) -> None:
    control = Control(tmp_path)
    request(tmp_path, "save")
    assert control.poll() == ["save"]
    (tmp_path / CONTROL_FILE).unlink()
    assert control.poll() == []
    request(tmp_path, "stop")
    assert control.poll() == ["stop"]


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    control = Control(tmp_path)
    (tmp_path / CONTROL_FILE).mkdir()
    assert control.poll() == []
    with pytest.raises(ResourceError, match=CONTROL_FILE):
        request(tmp_path, "save")


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
def test_a_pipe_makes_nobody_wait(tmp_path: Path) -> None:
    control = Control(tmp_path)
    os.mkfifo(tmp_path / CONTROL_FILE)
    assert control.poll() == []
    writer = os.open(tmp_path / CONTROL_FILE, os.O_RDWR)
    os.write(writer, b'{"request": "stop"}\n')
    assert control.poll() == []
    os.close(writer)


def test_a_directory_that_is_gone_ends_nothing(tmp_path: Path) -> None:
    control = Control(tmp_path / "run")
    assert control.poll() == []
    with pytest.raises(ResourceError):
        request(tmp_path / "run", "save")


def test_whatever_bytes_come_only_known_requests_are_read(tmp_path: Path) -> None:
    draw, control = random.Random(5), Control(tmp_path)
    whole = json.dumps({"request": "save"}).encode()
    for _ in range(300):
        line = bytearray(whole)
        for _ in range(draw.randint(0, 4)):
            line[draw.randrange(len(line))] = draw.randrange(256)
        append(tmp_path, bytes(line) + draw.choice([b"\n", b"", b"\n\n"]))
        assert {each for each in control.poll() if isinstance(each, str)} <= {"save"}
    append(tmp_path, b"\n")
    request(tmp_path, "pause")
    assert control.poll()[-1] == "pause"
