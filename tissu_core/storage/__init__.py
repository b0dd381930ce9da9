"""Files that are whole or absent: atomic writes, and directories sealed with a manifest.

A sealed directory holds ``tissu.json``: the SHA-256 and size of every other file and a seal over
itself, written last. It is filled under a temporary name, synced, read back, and renamed; a
directory without its manifest was never saved. safetensors has no checksum of its own (a flipped
bit in tensor data loads silently), which is why reading goes through ``verify``.
"""

from tissu_core.storage.files import (
    append_text,
    free_bytes,
    guard_write,
    read_json,
    refuse_pointer,
    sha256_file,
    sync_directory,
    write_json,
    write_text,
)
from tissu_core.storage.sealed import (
    MANIFEST,
    MANIFEST_VERSION,
    check_sizes,
    is_sealed,
    iter_verify,
    read_manifest,
    remove_directory,
    remove_leftovers,
    sealed_directory,
    verify,
)

__all__ = [
    "MANIFEST",
    "MANIFEST_VERSION",
    "append_text",
    "check_sizes",
    "free_bytes",
    "guard_write",
    "is_sealed",
    "iter_verify",
    "read_json",
    "read_manifest",
    "refuse_pointer",
    "remove_directory",
    "remove_leftovers",
    "sealed_directory",
    "sha256_file",
    "sync_directory",
    "verify",
    "write_json",
    "write_text",
]
