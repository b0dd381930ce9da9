"""Text that somebody else wrote, made safe to draw on a terminal.

A terminal obeys what it is sent: ESC and the C1 controls move the cursor, set the clipboard and
rewrite the title; a carriage return overwrites a line; bidirectional overrides reorder what is
read. None of them reaches the terminal: each is replaced by a visible stand-in. The replacement is
made code point by code point, so a sequence split between two chunks is as harmless as a whole one.
What is stored or piped stays as it is, and so does the value of JSON.
"""

_STAND_INS: dict[int, str] = {code: chr(0x2400 + code) for code in range(0x20)}  # ␛ for ESC
_STAND_INS[0x7F] = "\u2421"
_STAND_INS.update({code: f"<{code:02x}>" for code in range(0x80, 0xA0)})  # C1 controls
_STAND_INS.update({code: f"<u+{code:04x}>" for code in (*range(0x202A, 0x202F),)})  # bidi overrides
_STAND_INS.update({code: f"<u+{code:04x}>" for code in (*range(0x2066, 0x206A),)})  # bidi isolates
_STAND_INS.update({code: f"<u+{code:04x}>" for code in (0x2028, 0x2029)})  # line separators
_STAND_INS.update({0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)})  # odd names
for _kept in "\n\t":
    del _STAND_INS[ord(_kept)]
_ESCAPES = {code: f"\\u{code:04x}" for code in _STAND_INS}
_LINE = {**_STAND_INS, ord("\n"): "\u240a", ord("\t"): " "}
_LONE_SURROGATES = range(0xD800, 0xE000)


def sanitize(text: str) -> str:
    """``text`` with control characters made visible; newlines and tabs stay, CRLF becomes LF."""
    return _without_surrogates(text.replace("\r\n", "\n").translate(_STAND_INS))


def sanitize_line(text: object) -> str:
    r"""The same for what must stay on one line: a file name, a title, a message.

    >>> sanitize_line("red\x1b[31m\nname.txt")
    'red␛[31m␊name.txt'
    """
    return _without_surrogates(str(text).translate(_LINE))


def escape_json(text: str) -> str:
    r"""JSON with what a terminal would obey as escapes: the same value, safe to look at.

    >>> escape_json('"red\x9b31m"')
    '"red\\u009b31m"'
    """
    return text.translate(_ESCAPES)


class StreamSanitizer:
    """``sanitize`` for text that comes in pieces; a CR waits for the LF that may follow it."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """What of ``text`` can be drawn now."""
        text = self._held + text
        self._held = "\r" if text.endswith("\r") else ""
        return sanitize(text[: len(text) - len(self._held)])

    def flush(self) -> str:
        """What was held back; call it at the end."""
        held, self._held = self._held, ""
        return sanitize(held)


def _without_surrogates(text: str) -> str:
    if text.isascii() or not any(ord(char) in _LONE_SURROGATES for char in text):
        return text
    return "".join("\ufffd" if ord(char) in _LONE_SURROGATES else char for char in text)
