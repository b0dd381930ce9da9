"""The text of a reply on the screen, drawn while it comes."""

from collections.abc import Callable, Iterable, Sequence
from threading import Thread

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Region, Size, Spacing
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from tissu_cli.render.markdown import code, inline
from tissu_cli.render.markdown.code import Code
from tissu_cli.render.markdown.document import Document
from tissu_cli.render.markdown.layout import Layout, Row
from tissu_cli.render.markdown.plain import PlainText
from tissu_cli.tui.reply_styles import COMPONENTS, CSS, Styles
from tissu_cli.tui.token_page import NEWLINE, TokenPage, row_of, token_at
from tissu_core.events.replies import TokenGenerated

_KEPT_STRIPS = 200
"""Each is some thirty objects that the garbage collector looks at."""
_STEP_SECONDS = 1 / 30


class ReplyBody(Widget):
    """Rendered Markdown, or the tokens themselves.

    Of more text only what is open is wrapped again. Finished rows are made once for each width, and
    the strips of them when they are seen.
    """

    COMPONENT_CLASSES = COMPONENTS
    DEFAULT_CSS = CSS

    def __init__(
        self, text: str = "", *, is_markdown: bool = True, id: str | None = None, classes: str = ""
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._is_markdown = is_markdown
        self._texts = [text]
        self._is_finished = bool(text)
        self._page: Document | PlainText | None = None  # None: not read yet
        self._tokens: TokenPage | None = None
        self._lens: Sequence[TokenGenerated] | None = None
        self._cursor: int | None = None
        self._layout: Layout | None = None
        self._strips: dict[int, Strip] = {}
        self._padded_strips: dict[int, tuple[Strip, Strip]] = {}
        self._styles: Styles | None = None
        self._uncoloured: list[Code] = []

    @property
    def text(self) -> str:
        """The reply as it was written."""
        return "".join(self._texts)

    def code_blocks(self) -> list[str]:
        """The code of each of its fences, as it was written."""
        return [block.text for block in self._read().codes]

    def append(self, text: str) -> None:
        """More text came. After the end of a reply, it goes on."""
        if self._is_finished:
            self._is_finished = False
            self._page = None  # it is read again, as far as it was open
        if self._is_markdown and not any(self._texts):
            _soon(inline.warm_up)
        self._texts.append(text)
        if self._page is None:
            return self._draw_anew()
        known = len(self._page.codes)
        closed = self._page.closed_codes
        self._page.feed(text)
        if len(self._page.codes) > known and (language := self._page.codes[-1].language):
            _soon(lambda: code.warm_up(language))
        self._update()
        return self._colour(self._page.codes[closed : self._page.closed_codes])

    def finish(self) -> None:
        """The reply is at its end."""
        if self._is_finished:
            return
        self._is_finished = True
        if self._page is not None:
            closed = self._page.closed_codes
            self._page.finish()
            self._update()
            self._colour(self._page.codes[closed:])

    def set_text(self, text: str) -> None:
        """Show a whole reply; it is read when its height is asked for."""
        self._texts = [text]
        self._is_finished = True
        self._page = None
        self._draw_anew()

    def set_lens(self, tokens: Sequence[TokenGenerated] | None, cursor: int | None) -> None:
        """Show the tokens themselves with a cursor on one, or the text again.

        The same list, grown, costs no more than what is new.
        """
        if tokens is None:
            self._tokens = self._lens = self._cursor = None
            return self._draw_anew()
        if self._tokens is None or tokens is not self._lens or len(tokens) < self._tokens.count:
            self._tokens, self._lens = TokenPage(), tokens
            self._draw_anew()
        self.append_tokens(tokens[self._tokens.count :])
        self._cursor = None if cursor is None else self._tokens.owner(cursor)
        return self._repaint()

    def append_tokens(self, new: Iterable[TokenGenerated]) -> None:
        """More tokens came, while they are shown."""
        if self._tokens is not None:
            self._tokens.add(new)
            self._update()

    def token_at(self, x: int, y: int) -> int | None:
        """The token in a cell of the content, while tokens are shown."""
        layout = self._lens_layout()
        return token_at(layout, x, y) if layout else None

    def line_of_token(self, index: int) -> int:
        """The row in which a token begins, while tokens are shown."""
        layout = self._lens_layout()
        return row_of(layout, self._tokens.owner(index)) if layout and self._tokens else 0

    def _lens_layout(self) -> Layout | None:
        width = self.content_size.width
        return self._laid_out(width) if self._tokens and width else None

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """All that there is."""
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """How many rows it has in a width."""
        return len(self._laid_out(width).rows)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows for the compositor, which asks again for all that is seen when the height grows.

        The same strips are given again: Textual forgets its own for a new size, and making 36 of
        them is half of the work of a frame. What has a border or space above it is left to Textual.
        """
        left_right = self.styles.padding
        is_simple = self.styles.gutter == left_right and not (left_right.top or left_right.bottom)
        if not is_simple or self.opacity < 1 or crop.column_span != (0, self.outer_size.width):
            return super().render_lines(crop)
        background = self.background_colors[1]
        strips = [self._padded(y, left_right) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        return strips

    def _padded(self, y: int, padding: Spacing) -> Strip:
        strip = self.render_line(y)
        if not padding.width:
            return strip
        content, padded = self._padded_strips.get(y, (None, strip))
        if content is not strip:
            padded = strip.crop_pad(strip.cell_length, padding.left, padding.right, self.rich_style)
            self._padded_strips[y] = (strip, padded)
        return padded

    def render_line(self, y: int) -> Strip:
        """A row, with what is selected of it marked."""
        layout = self._laid_out(self.content_size.width)
        if y >= len(layout.rows):
            return Strip.blank(layout.width, self.rich_style)
        if y not in self._strips:
            if len(self._strips) >= _KEPT_STRIPS:
                self._strips.clear()
                self._padded_strips.clear()
            self._strips[y] = self._strip(layout.rows[y], y)
        strip = self._strips[y]
        selection = self.text_selection
        span = selection.get_span(y) if selection else None
        return self._selected(strip, layout.rows[y], *span) if span else strip

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What is selected, as it was before it was wrapped."""
        layout = self._layout
        if layout is None or not layout.rows:
            return None
        start, end = selection
        first = (start.y, start.x) if start else (0, 0)
        last = (end.y, end.x) if end else (len(layout.rows), 0)
        text = layout.text(first, last)
        return text if self._tokens is None else text.replace(NEWLINE, ""), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw the marks of a selection."""
        self.refresh()

    def notify_style_update(self) -> None:
        """The theme may be another one."""
        super().notify_style_update()
        self._styles = None
        self._strips.clear()

    def _read(self) -> Document | PlainText:
        if self._page is None:
            self._page = Document() if self._is_markdown else PlainText()
            self._page.feed(self.text)
            if self._is_finished:
                self._page.finish()
        return self._page

    def _laid_out(self, width: int) -> Layout:
        if self._layout is None or self._layout.width != width:
            self._layout = Layout(width)
            self._layout.update(self._tokens or self._read())
            self._strips.clear()
        return self._layout

    def _draw_anew(self) -> None:
        self._layout = None
        self.refresh(layout=True)

    def _repaint(self) -> None:
        """All rows look different, and are where they were."""
        self._strips.clear()
        self.refresh()

    def _update(self) -> None:
        """Lay out and draw what is new in the page that is shown."""
        layout = self._layout
        if layout is None:
            return
        before = len(layout.rows)
        first = layout.update(self._tokens or self._read())
        after = len(layout.rows)
        for y in range(first, max(before, after)):
            self._strips.pop(y, None)
        if before != after:
            self.refresh(layout=True)
        else:
            self.refresh(Region(0, first, layout.width, after - first))

    def _strip(self, row: Row, y: int) -> Strip:
        """A row in colour; offsets count the characters that can be selected, the margin is < 0."""
        block = row.line.code
        if block and block not in self._uncoloured and block.colour():
            self._colour_later([block])
        styles = self._styles = self._styles or Styles(self)
        margin = [Segment(text, styles.named(str(style))) for text, style in row.margin]
        segments = [
            Segment(
                text,
                styles.token(self._tokens, style, self._cursor)
                if self._tokens and isinstance(style, int)
                else styles.named(str(style)),
            )
            for text, style in row.spans
        ]
        strip = Strip([*margin, *segments])
        strip = strip.adjust_cell_length(self.content_size.width, styles.named(row.line.fill))
        return strip.apply_offsets(-sum(len(text) for text, _, _ in margin), y)

    def _colour(self, closed: Sequence[Code]) -> None:
        """Colour blocks of code: short ones now, and more of long ones with each frame."""
        if closed:
            self._colour_later([block for block in closed if block.colour()])
            self._repaint()

    def _colour_later(self, blocks: Sequence[Code]) -> None:
        if not blocks or not self.is_attached:
            return
        if not self._uncoloured:
            self.set_timer(_STEP_SECONDS, self._colour_more)
        self._uncoloured += blocks

    def _colour_more(self) -> None:
        if not self._uncoloured[0].colour():
            self._uncoloured.pop(0)
            self._repaint()
        if self._uncoloured:
            self.set_timer(_STEP_SECONDS, self._colour_more)

    def _selected(self, strip: Strip, row: Row, start: int, end: int) -> Strip:
        """A strip with some of the row's characters marked; an ``end`` of -1 is its end."""
        text = "".join(text for text, _ in row.spans)
        left = sum(cell_len(piece) for piece, _ in row.margin)
        start = left + cell_len(text[: max(0, start)])
        end = left + cell_len(text if end < 0 else text[:end])
        style = self.screen.get_component_rich_style("screen--selection")
        marked = Strip(Segment.apply_style(strip.crop(start, end), post_style=style))
        return Strip.join([strip.crop(0, start), marked, strip.crop(end)])


def _soon(task: Callable[[], None]) -> None:
    """Do something slow beside the screen: an import."""
    Thread(target=task, daemon=True).start()
