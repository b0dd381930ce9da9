"""Random numbers as a function of what they are for, so that there is no state to save."""

import hashlib


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed for a purpose, for example ``derive_seed(run_seed, "dropout", step)``."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1
