"""Which system calls generated code may make on Linux, as a filter that the kernel runs.

Classic BPF as seccomp(2) takes it (McCanne and Jacobson 1993; Drewry 2012). Numbers are those of
Linux's own tables; those from 424 on are the same on every architecture. What is refused gives
EPERM, and calls that are newer than the filter ENOSYS, as on a kernel that does not have them.
"""

import platform
import struct
from collections.abc import Iterator, Mapping

_ARCHITECTURES: Mapping[str, tuple[int, int]] = {
    "x86_64": (0xC000003E, 0),
    "aarch64": (0xC00000B7, 1),
}
"""The kernel's name of each, and its column below."""
_NONE = -1
# fmt: off
_REFUSED: Mapping[str, tuple[int, int]] = {
    # other processes: making, becoming, ending, reading and slowing them
    "fork": (57, _NONE), "vfork": (58, _NONE), "clone": (56, 220), "execve": (59, 221),
    "execveat": (322, 281), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140),
    "ioprio_set": (251, 30), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274), "sched_setaffinity": (203, 122), "kcmp": (312, 272),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "unshare": (272, 97),
    "setns": (308, 268), "personality": (135, 92),
    # the network
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    # what landlock leaves open of files: owners, modes, times, devices, mounts
    "chmod": (90, _NONE), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, _NONE),
    "fchown": (93, 55), "lchown": (94, _NONE), "fchownat": (260, 54), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "utime": (132, _NONE),
    "utimes": (235, _NONE), "utimensat": (280, 88), "futimesat": (261, _NONE),
    "truncate": (76, 45), "mknod": (133, _NONE), "mknodat": (259, 33), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "swapon": (167, 224),
    "swapoff": (168, 225), "quotactl": (179, 60), "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "sync": (162, 81),
    "syncfs": (306, 267), "flock": (73, 32),
    # the machine, and memory that outlives the process or is not counted as its own
    "reboot": (169, 142), "sethostname": (170, 161), "setdomainname": (171, 162),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "acct": (163, 89),
    "syslog": (103, 116), "iopl": (172, _NONE), "ioperm": (173, _NONE), "vhangup": (153, 58),
    "io_setup": (206, 0), "io_submit": (209, 2), "memfd_create": (319, 279), "shmget": (29, 194),
    "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
}
# fmt: on
_PRLIMIT64, _SENDTO, _OPENAT, _OPEN = (302, 261), (44, 206), (257, 56), (2, _NONE)
_IOCTL, _FCNTL = (16, 29), (72, 25)
_CONTROLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what asks, and a descriptor's flags."""
_COMMANDS = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: no locks, leases, signals."""
_FIRST_SHARED = 424
_ALLOWED_LATER = (436, 439, 441, 449)
"""close_range, faccessat2, epoll_pwait2, futex_waitv."""
_LOAD, _AND, _JUMP_EQUAL, _JUMP_FROM, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_KILL, _ALLOW, _EPERM, _ENOSYS = 0x80000000, 0x7FFF0000, 0x00050001, 0x00050026
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_O_TRUNC, _ACCESS_MODE = 0o1000, 3
Instruction = tuple[int, int, int, int]


def build_filter(machine: str | None = None) -> bytes | None:
    """The filter for this machine, eight bytes an instruction; None where its calls are unknown."""
    known = _ARCHITECTURES.get(machine or platform.machine())
    if known is None:
        return None
    return b"".join(struct.pack("=HBBI", *each) for each in _instructions(*known))


def _instructions(architecture: int, column: int) -> Iterator[Instruction]:
    yield _LOAD, 0, 0, _ARCHITECTURE_AT
    yield _JUMP_EQUAL, 1, 0, architecture
    yield _return(_KILL)
    yield _LOAD, 0, 0, _NUMBER_AT
    yield _JUMP_FROM, 0, 2 * len(_ALLOWED_LATER) + 1, _FIRST_SHARED
    for number in _ALLOWED_LATER:
        yield from _if_call(number, [_return(_ALLOW)])
    yield _return(_ENOSYS)
    for numbers in _REFUSED.values():
        yield from _if_call(numbers[column], [_return(_EPERM)])
    # Limits of its own, not of the process with another number.
    yield from _if_call(
        _PRLIMIT64[column],
        [_load(0), (_JUMP_EQUAL, 0, 1, 0), _return(_ALLOW), _return(_EPERM)],
    )
    # To the other end of a pair, not to an address.
    yield from _if_call(
        _SENDTO[column],
        [
            _load(4),
            (_JUMP_EQUAL, 0, 3, 0),
            _load(4, is_high=True),
            (_JUMP_EQUAL, 0, 1, 0),
            _return(_ALLOW),
            _return(_EPERM),
        ],
    )
    # No attributes of files, which whoever reads one may set, and no locks on them.
    for numbers, allowed in ((_IOCTL, _CONTROLS), (_FCNTL, _COMMANDS)):
        tries = [
            (_JUMP_EQUAL, len(allowed) - number, 0, each) for number, each in enumerate(allowed)
        ]
        yield from _if_call(numbers[column], [_load(1), *tries, _return(_EPERM), _return(_ALLOW)])
    # Reading and cutting short at once, which landlock sees only since Linux 6.2.
    for numbers, flags in ((_OPEN, 1), (_OPENAT, 2)):
        yield from _if_call(
            numbers[column],
            [
                _load(flags),
                (_AND, 0, 0, _O_TRUNC | _ACCESS_MODE),
                (_JUMP_EQUAL, 0, 1, _O_TRUNC),
                _return(_EPERM),
                _return(_ALLOW),
            ],
        )
    yield _return(_ALLOW)


def _if_call(number: int, then: list[Instruction]) -> Iterator[Instruction]:
    """What to do at one call; ``then`` ends in a return, and is passed over at others."""
    if number != _NONE:
        yield _JUMP_EQUAL, 0, len(then), number
        yield from then


def _load(argument: int, *, is_high: bool = False) -> Instruction:
    """Half of an argument; both machines put the low half first."""
    return _LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument + 4 * is_high


def _return(what: int) -> Instruction:
    return _RETURN, 0, 0, what
