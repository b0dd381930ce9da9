"""The process that runs generated code: ``python -I -S child.py``, with a job on stdin.

It limits itself, builds the walls, tries them, hangs up the fences and only then runs the code,
followed by its tests. What it has to say goes to stdout as lines of JSON; what the code prints goes
to stderr. It imports nothing of tissu: nothing of tissu is there to be changed.
"""

import _socket
import ctypes
import errno
import json
import os
import struct
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER_MODE, _DIE_WITH_PARENT = 38, 22, 2, 1
# Rights of landlock(7): all that change anything, by the version of the interface that has them.
_CHANGES = {
    1: sum(1 << bit for bit in (0, 1, 4, 5, 6, 7, 8, 9, 10, 11, 12)),
    2: 1 << 13,
    3: 1 << 14,
    5: 1 << 15,
}
# Write, remove and make plain files; cut them short.
_INSIDE = (1 << 1) | (1 << 5) | (1 << 8) | (1 << 14)
_EVENTS = {
    "processes": (
        "os.fork os.forkpty os.exec os.posix_spawn os.spawn os.system os.startfile os.kill "
        "os.killpg signal.pthread_kill subprocess.Popen pty.spawn _thread.start_new_thread "
        "_winapi.CreateProcess"
    ),
    "network": (
        "socket.bind socket.connect socket.getaddrinfo socket.gethostbyname socket.gethostbyaddr "
        "socket.sendto socket.sendmsg urllib.Request"
    ),
    "files": (
        "os.mkdir os.rmdir os.chmod os.chown os.link os.symlink os.truncate os.utime os.setxattr "
        "os.removexattr os.chflags os.mkfifo os.mknod os.chroot shutil.rmtree shutil.move"
    ),
    "native code": "ctypes.dlopen ctypes.dlsym ctypes.call_function ctypes.cdata",
}
_NONE_OF = {
    "processes": "other process or thread",
    "network": "network",
    "files": "file outside the folder of the code, and no folder in it",
    "native code": "native code",
}
_REFUSED = {event: kind for kind, events in _EVENTS.items() for event in events.split()}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Refused(PermissionError):
    """A fence: what was asked for, as the report names it."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"the sandbox has no {_NONE_OF[kind]}")
        self.kind = kind


class Report:
    """Lines of JSON to whoever started this, past what the code may do to stdout."""

    def __init__(self) -> None:
        self._descriptor = os.dup(1)
        os.dup2(2, 1)

    def say(self, **record: str) -> None:
        """One line."""
        os.write(self._descriptor, (json.dumps(record) + "\n").encode())


def set_limits(job: Mapping[str, Any]) -> None:
    """Seconds of processor, bytes of memory, of a file and of cores; processes and open files."""
    if resource is None:
        return
    seconds, memory, file = job["cpu_seconds"], job["memory_bytes"], job["file_bytes"]
    for name, soft, hard in (
        ("CPU", seconds, seconds + 1),
        ("AS", memory, memory),
        ("FSIZE", file, file),
        ("CORE", 0, 0),
        ("NOFILE", 64, 64),
        ("NPROC", 0, 0),
    ):
        limit = getattr(resource, f"RLIMIT_{name}", None)
        if limit is not None:
            try:
                resource.setrlimit(limit, (soft, hard))
            except (OSError, ValueError):  # macOS takes none for memory
                continue


def build_walls(job: Mapping[str, Any]) -> None:
    """Landlock for files, no capabilities, and a filter of system calls."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(what: str, result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
        return result

    number = ctypes.c_long
    call("prctl", libc.prctl(_DIE_WITH_PARENT, 9, 0, 0, 0))
    call("no_new_privs", libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    version = call("landlock", libc.syscall(number(_LANDLOCK_CREATE), None, number(0), number(1)))
    handled = sum(rights for since, rights in _CHANGES.items() if since <= version)
    attributes = ctypes.c_uint64(handled)
    rules = call(
        "landlock",
        libc.syscall(number(_LANDLOCK_CREATE), ctypes.byref(attributes), number(8), number(0)),
    )
    for path, rights in ((job["directory"], _INSIDE), (os.devnull, 1 << 1)):
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = (rights & handled).to_bytes(8, sys.byteorder) + opened.to_bytes(4, sys.byteorder)
        call("landlock", libc.syscall(number(_LANDLOCK_ADD), number(rules), number(1), rule, 0))
        os.close(opened)
    call("landlock", libc.syscall(number(_LANDLOCK_RESTRICT), number(rules), number(0)))
    os.close(rules)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    call("capset", libc.capset(header, (ctypes.c_uint32 * 6)()))
    code = bytes.fromhex(job["filter"])

    kept = ctypes.create_string_buffer(code)
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(kept))
    call("seccomp", libc.prctl(_SET_SECCOMP, _FILTER_MODE, program, 0, 0))


def try_walls(job: Mapping[str, Any]) -> None:
    """Raise if one does not hold: what a system promises is not always so."""

    def fork() -> None:
        if os.fork() == 0:
            os._exit(0)

    deeds: Mapping[str, Callable[[], object]] = {
        "processes": fork,
        "network": lambda: _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM),
        "files": lambda: os.open(job["beside"], os.O_WRONLY),
    }
    for what, deed in deeds.items():
        try:
            deed()
        except PermissionError:
            continue
        raise OSError(0, f"the wall around {what} does not hold")


def hang_fences(job: Mapping[str, Any], report: Report) -> None:
    """Refuse by name, in Python, what the walls refuse by number; code without walls has these."""
    # Bound now: what the code makes of os is its own.
    realpath, fsdecode, separator, told = os.path.realpath, os.fsdecode, os.sep, set[str]()
    inside = realpath(job["directory"]) + separator

    def refuse(kind: str) -> NoReturn:
        if kind not in told:
            told.add(kind)
            report.say(refused=kind)
        raise Refused(kind)

    def is_inside(path: Any) -> bool:
        return isinstance(path, int) or (realpath(fsdecode(path)) + separator).startswith(inside)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            refuse(_REFUSED[event])
        elif event == "socket.__new__":
            if arguments[1] != 1:  # AF_UNIX: an event loop's own pair
                refuse("network")
        elif event == "open":
            path, mode, flags = arguments
            is_writing = isinstance(flags, int) and flags & _WRITING
            if (is_writing or any(letter in (mode or "") for letter in "wax+")) and not (
                path == os.devnull or is_inside(path)
            ):
                refuse("files")
        elif event in ("os.remove", "os.rename") and not all(
            is_inside(path) for path in arguments[:2] if path != -1
        ):
            refuse("files")

    sys.addaudithook(watch)


def run(job: Mapping[str, Any], report: Report) -> None:
    """The code, then its tests; the report says how that ended."""
    names: dict[str, Any] = {"__name__": "solution"}
    try:
        exec(compile(job["code"], "<code>", "exec"), names)
        exec(compile(job["tests"], "<tests>", "exec"), names)
    except Refused as error:
        report.say(ended=error.kind, text=str(error))
    except OSError as error:
        is_large = error.errno == errno.EFBIG
        text = "it wrote too much" if is_large else describe(error, job["tests"])
        report.say(ended="files" if is_large else "failed", text=text)
    except MemoryError:
        names.clear()
        report.say(ended="memory", text="it wanted more memory than there is")
    except RuntimeError as error:
        is_thread = "start new thread" in str(error)  # of which no event tells
        report.say(ended="processes" if is_thread else "failed", text=describe(error, job["tests"]))
    except SystemExit:
        report.say(ended="failed", text="it left before its tests were done")
    except BaseException as error:  # noqa: BLE001  whatever it was, it is told
        report.say(ended="failed", text=describe(error, job["tests"]))
    else:
        report.say(ended="passed", text="", word=job["word"])


def describe(error: BaseException, tests: str) -> str:
    """Kind and message of an error; of a failed assertion its line."""
    text, trace = " ".join(str(error).split()), error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    is_bare = isinstance(error, AssertionError) and not text
    if is_bare and trace is not None and trace.tb_frame.f_code.co_filename == "<tests>":
        text = tests.splitlines()[trace.tb_lineno - 1].strip()
    return f"{type(error).__name__}: {text}"[:300]


def main() -> None:
    """Read the job, become harmless, run it."""
    job, report = json.loads(sys.stdin.buffer.read()), Report()
    sys.dont_write_bytecode = True
    os.chdir(job["directory"])
    set_limits(job)
    if job["has_walls"]:
        try:
            build_walls(job)
            try_walls(job)
        except OSError as error:
            report.say(ended="no walls", text=error.strerror or str(error))
            return
    if job["has_fences"]:
        hang_fences(job, report)
    run(job, report)


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)
