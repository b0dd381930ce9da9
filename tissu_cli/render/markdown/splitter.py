"""Cuts a growing reply into blocks that no later character can change.

It reads lines, never the reply again: what is open is at most one paragraph, one table of
``MAX_ROWS``, or a line. A longer paragraph or line is finished in pieces, so that 10 MB without a
newline cost no more a character than a poem. Where CommonMark and what models write differ, the
models win: nested lists may be indented by two, and a fence in an item need not be.
"""

import copy
import re
from dataclasses import replace

from tissu_cli.render.markdown.blocks import (
    ATX,
    FENCE,
    ITEM,
    QUOTE,
    RULE,
    SETEXT,
    Block,
    Holder,
    held,
    margin_of,
    place_to_cut,
    starts_block,
    title,
)
from tissu_cli.render.markdown.tables import aligns_of

MAX_CHARACTERS = 2000
"""Of an open paragraph or line: it is read again for each frame, in about 2.5 ms."""
MAX_ROWS = 100
_MAX_DEPTH = 12
_HINTS = frozenset("#>*_+-=`~|: \t.)0123456789")
"""A line of these alone may become a list, a rule, a fence: it is shown when it is known."""


class Splitter:
    """Text in, finished blocks out."""

    def __init__(self) -> None:
        self._line = ""
        self._is_inside = False
        self._holders: list[Holder] = []
        self._leaf: Block | None = None
        self._rows = 0
        self._fence: tuple[str, int] | None = None  # its marks and indentation; None: indented code
        self._is_empty, self._blank_lines = True, 0
        self._done: list[Block] = []

    def feed(self, text: str) -> list[Block]:
        """The blocks that are finished now."""
        pending, at = self._line + text, 0
        while True:
            end = pending.find("\n", at, at + MAX_CHARACTERS + 1)
            if end >= 0:
                self._take(pending[at:end].removesuffix("\r"), is_end=True)
                at = end + 1
            elif len(pending) - at > MAX_CHARACTERS:
                self._take(pending[at : at + MAX_CHARACTERS], is_end=False)
                at += MAX_CHARACTERS
            else:
                break
        self._line = pending[at:]
        return self._taken()

    def finish(self) -> list[Block]:
        """The blocks that are left, as if the reply ended here."""
        if self._line:
            self._take(self._line.removesuffix("\r"), is_end=True)
        self._line = ""
        self._leave(0)
        return self._taken()

    def tail(self) -> list[Block]:
        """What ``finish`` would return, for as long as more may come."""
        probe = copy.copy(self)
        probe._holders = [copy.copy(holder) for holder in self._holders]
        probe._done = []
        if self._is_hint():
            probe._line = ""
        return [block for block in probe.finish() if block.kind != "code end"]

    def _is_hint(self) -> bool:
        line = self._line.strip()
        if self._fence:
            return bool(line) and self._fence[0].startswith(line)
        return not self._is_inside and _HINTS.issuperset(line)

    def _taken(self) -> list[Block]:
        done, self._done = self._done, []
        return done

    def _take(self, piece: str, *, is_end: bool) -> None:
        """Read a line, or the next piece of one that is too long to wait for its end."""
        if self._is_inside:
            self._go_on(piece)
        else:
            self._read(piece, is_whole=is_end)
        self._is_inside = not is_end
        if is_end and self._leaf and self._leaf.kind == "heading":
            self._close()

    def _go_on(self, piece: str) -> None:
        if self._leaf is None:
            self._open(Block("paragraph", piece))
        elif self._leaf.kind == "code":
            self._done.append(replace(self._leaf, text=piece, joins=True))
        else:
            self._grow(piece)

    def _read(self, line: str, *, is_whole: bool) -> None:
        if self._fence and self._read_code(line):
            return
        body = line.lstrip(" \t")
        line = " " * len(line[: len(line) - len(body)].expandtabs(4)) + body
        depth, line = self._enter(line)
        if not line.strip():
            self._read_blank(depth)
            return
        opened, line = self._new_holders(depth, line)
        is_paragraph = self._leaf and self._leaf.kind == "paragraph" and not opened
        if is_paragraph and depth < len(self._holders) and not starts_block(line):
            self._grow("\n" + line.lstrip())  # a paragraph goes on without its indentation
            return
        if opened or depth < len(self._holders):
            self._leave(depth)
            self._holders += opened
        self._read_leaf(line, is_whole=is_whole, old=depth)

    def _enter(self, line: str) -> tuple[int, str]:
        """How many holders go on in a line, and what it is without their marks."""
        for depth, holder in enumerate(self._holders):
            body = line.lstrip(" ")
            indent = len(line) - len(body)
            if not holder.marker:
                if not (mark := QUOTE.match(line)):
                    return depth, line
                line = line[mark.end() :]
            elif body:
                nested = indent >= holder.at + 2 and ITEM.match(body)
                if indent < holder.width and not nested:
                    return depth, line
                line = line[min(indent, holder.width) :]
        return len(self._holders), line

    def _new_holders(self, depth: int, line: str) -> tuple[list[Holder], str]:
        """The quotes and items that begin in a line, and what they hold of it."""
        opened: list[Holder] = []
        while depth + len(opened) < _MAX_DEPTH:
            if mark := QUOTE.match(line):
                opened.append(Holder())
            elif (mark := ITEM.match(line)) and self._is_item(mark, depth, opened):
                spaces, marker = mark.groups()
                width = max(mark.end(), len(spaces) + len(marker) + 1)
                opened.append(Holder(marker, len(spaces), width, is_new=True))
            else:
                break
            line = line[mark.end() :]
        return opened, line

    def _is_item(self, mark: re.Match[str], depth: int, opened: list[Holder]) -> bool:
        spaces, marker = mark.groups()
        if RULE.match(mark.string) or (len(spaces) > 3 and not self._holders):
            return False
        is_inside = self._leaf and self._leaf.kind == "paragraph" and not opened
        if is_inside and depth == len(self._holders):
            # "... in\n1986. Then" is no list, and a dash alone may underline a heading.
            return bool(mark.string[mark.end(2) :].strip()) and marker[:-1] in ("", "1")
        return True

    def _read_blank(self, depth: int) -> None:
        if self._leaf and self._leaf.kind == "code" and depth == len(self._holders):
            self._blank_lines += 1  # of indented code: part of it if more code follows
            return
        self._leave(depth)
        self._blank_lines += 1

    def _read_leaf(self, line: str, *, is_whole: bool, old: int) -> None:
        """A line without the marks of its holders, ``old`` of which were there before."""
        if self._goes_on(line, is_whole=is_whole):
            return
        if mark := ATX.match(line):
            self._open(Block("heading", title(line[mark.end() :]), level=len(mark[1])), old)
        elif is_whole and (mark := FENCE.match(line)):
            self._open_code(mark[3].strip(), (mark[2], len(mark[1])), old)
        elif is_whole and RULE.match(line):
            self._open(Block("rule"), old)
            self._close()
        elif self._leaf and self._leaf.kind == "paragraph":
            self._grow("\n" + line.lstrip() if self._leaf.text else line.lstrip())
        elif line.startswith("    "):
            self._open_code("", None, old)
            self._emit_code(line[4:])
        else:
            self._open(Block("paragraph", line.lstrip()), old)

    def _goes_on(self, line: str, *, is_whole: bool) -> bool:
        """Whether what is open takes a line without becoming longer text."""
        kind = self._leaf.kind if self._leaf else None
        if kind == "code" and line.startswith("    "):
            for text in ("",) * self._blank_lines + (line[4:],):
                self._emit_code(text)
            self._blank_lines = 0
            return True
        if kind == "table" and is_whole and "|" in line and not starts_block(line):
            self._add_row(line)
            return True
        return kind == "paragraph" and is_whole and self._became_other(line)

    def _became_other(self, line: str) -> bool:
        """Whether a line makes a heading or a table of the paragraph before it."""
        leaf = self._leaf
        assert leaf is not None
        if (mark := SETEXT.match(line)) and leaf.text:
            self._leaf = replace(leaf, kind="heading", level=1 if mark[1][0] == "=" else 2)
            self._close()
            return True
        before, newline, header = leaf.text.rpartition("\n")
        if not (aligns := aligns_of(line, header)):
            return False
        if newline:
            self._leaf = replace(leaf, text=before)
            self._close()
            leaf = leaf.onwards(joins=False)
        self._leaf = replace(leaf, kind="table", text=header, aligns=aligns, level=1)
        self._rows = 1
        return True

    def _read_code(self, line: str) -> bool:
        """Read a line in an open fence; False if the quote around it ended."""
        assert self._fence is not None
        depth, inner = (0, line) if not self._holders else self._enter(line)
        if any(not holder.marker for holder in self._holders[depth:]):
            return False
        mark, indent = self._fence
        body = inner.strip()
        if len(body) >= len(mark) and not body.strip(mark[0]):
            self._close()
            return True
        spaces = len(inner) - len(inner.lstrip(" "))
        self._emit_code(inner[min(spaces, indent) :])
        return True

    def _open_code(self, info: str, fence: tuple[str, int] | None, old: int) -> None:
        language = info.split()[0] if info else ""
        self._open(Block("code", language=language), old)
        self._fence = fence

    def _emit_code(self, text: str) -> None:
        leaf = self._leaf
        assert leaf is not None
        self._done.append(replace(leaf, text=text))
        self._leaf = leaf.onwards(joins=False)

    def _open(self, block: Block, old: int | None = None) -> None:
        """Begin a block in the holders that are open, ``old`` of which were there before."""
        self._close()
        has_gap = not self._is_empty and (self._blank_lines or block.kind == "heading")
        gap = margin_of(self._holders[:old]) if has_gap else None
        self._leaf = replace(held(block, self._holders), gap=gap)
        self._is_empty, self._blank_lines = False, 0

    def _grow(self, text: str) -> None:
        """Lengthen the open paragraph or heading; what is too long of it is finished."""
        leaf = self._leaf
        assert leaf is not None
        text = leaf.text + text
        while len(text) > MAX_CHARACTERS:
            cut = place_to_cut(text[:MAX_CHARACTERS])
            is_line = text[cut] == "\n"
            self._done.append(replace(leaf, text=text[:cut]))
            text = text[cut + is_line :]
            leaf = leaf.onwards(joins=not is_line)
        self._leaf = replace(leaf, text=text)

    def _add_row(self, line: str) -> None:
        leaf = self._leaf
        assert leaf is not None
        if self._rows == MAX_ROWS:
            self._done.append(leaf)
            self._leaf = replace(leaf.onwards(joins=False), text=line, level=0)
            self._rows = 1
        else:
            self._leaf = replace(leaf, text=leaf.text + "\n" + line)
            self._rows += 1

    def _close(self) -> None:
        """Finish the open block."""
        leaf, self._leaf = self._leaf, None
        if leaf is None:
            return
        self._fence = None
        self._done.append(replace(leaf, kind="code end") if leaf.kind == "code" else leaf)

    def _leave(self, depth: int) -> None:
        """Close what is open, and the holders that end."""
        self._close()
        del self._holders[depth:]
