"""From bytes to characters: byte order mark, encoding, and what is no text at all."""

import codecs
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

from tissu_core.config.data import AUTO, ReadingConfig
from tissu_core.data.packed import Bytes, NotTextError

CHUNK_BYTES = 1 << 20
_REPLACEMENT = "\ufffd"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Documents whose text lies inside, by their first bytes; the second says what brings it out.
_CONTAINERS = (
    (b"%PDF-", "PDF, of which pdftotext makes text"),
    (b"PK\x03\x04", "DOCX, EPUB, ODT or another zip; pandoc makes text of documents"),
    (b"\xd0\xcf\x11\xe0", "an old Office file, of which libreoffice makes text"),
    (b"{\\rtf", "RTF, of which pandoc makes text"),
)


class Note(StrEnum):
    """What is worth saying of a file that was read; ``{}`` is how often."""

    MARKED = "{} files are UTF-16 or UTF-32 by their byte order mark"
    REPLACED = "{} characters that could not be decoded became U+FFFD"
    LONG_LINE = "{} files have a line of over a megabyte, which is cut"
    CHATS = "files of conversations: {}"


class UndecodableError(NotTextError):
    """A file looks like text of another encoding."""


def iter_characters(
    file: Bytes, reading: ReadingConfig, notes: Counter[Note] | None = None
) -> Iterator[str]:
    """The text of a file in pieces of up to a megabyte.

    Raises:
        NotTextError: If it is binary, a document of another program, or broken inside its packing.
        UndecodableError: If its bytes are of another encoding and are not to be replaced.
    """
    notes = Counter() if notes is None else notes
    chunk = file.read(CHUNK_BYTES)
    mark, encoding = _encoding_of(chunk, reading.encoding)
    if mark and encoding != "utf-8":
        notes[Note.MARKED] += 1
    is_replacing = reading.on_bad == "replace"
    decoder = codecs.getincrementaldecoder(encoding)("replace" if is_replacing else "strict")
    position = len(mark)
    chunk = chunk[position:]
    while True:
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            where = position + len(chunk) - len(error.object) + error.start
            raise UndecodableError(f"not {encoding.upper()} at byte {where:,}") from error
        if is_replacing and (num_bad := text.count(_REPLACEMENT)):
            notes[Note.REPLACED] += num_bad
        if text:
            yield text
        if not chunk:
            return
        position += len(chunk)
        chunk = file.read(CHUNK_BYTES)


def _encoding_of(start: bytes, asked: str) -> tuple[bytes, str]:
    """The byte order mark at a file's start, which may be none, and its encoding."""
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            return mark, encoding
    for magic, name in _CONTAINERS:
        if start.startswith(magic):
            raise NotTextError(name)
    encoding = "utf-8" if asked == AUTO else codecs.lookup(asked).name
    if b"\0" in start[:8192] and not encoding.startswith(("utf-16", "utf-32")):
        raise NotTextError("binary")
    return b"", encoding
