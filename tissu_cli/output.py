"""What a command found: drawn on the terminal or told as JSON, and drawn into files."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tissu_cli.flags import Given, resolve_settings
from tissu_cli.render.console import data, print_json
from tissu_cli.render.status import StatusLine, narrated
from tissu_core.config.inspection import PicturesConfig
from tissu_core.events.records import to_record
from tissu_core.events.shared import FileSkipped, Noticed, StageAdvanced

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a view is drawn on."""

    width: int
    """In columns."""
    is_coloured: bool


Found = TypeVar("Found")
Draw = Callable[[Sheet], "RenderableType"]


class Output:
    """Where the views of a command go; made before the work, that no work is lost for a name.

    Raises:
        InputError: If a file that is asked for could not be written, or PNG lacks its package.
    """

    def __init__(self, given: Given, *, is_json: bool) -> None:
        self.is_json = is_json
        self.pictures = resolve_settings(PicturesConfig, given, is_told=False)
        if self.pictures.any:
            from tissu_cli.render.pictures import check_pictures

            check_pictures(self.pictures)

    def tell(
        self,
        events: Iterable[Found | StageAdvanced | FileSkipped | Noticed],
        draw: Callable[[Found, Sheet], "RenderableType"],
    ) -> None:
        """What a verb yields: its progress in a line that goes, each of its results by itself."""
        with StatusLine() as status:
            for found in narrated(events, status):
                self.show(to_record(found), partial(draw, found))

    def show(
        self, record: Mapping[str, Any], draw: Draw, page: Callable[[], str] | None = None
    ) -> None:
        """What was found, by itself."""
        if self.is_json:
            print_json(record)
        self.draw(draw, page)

    def draw(self, draw: Draw, page: Callable[[], str] | None = None) -> None:
        """What was found, of which the JSON is printed already; ``page`` makes another --html.

        Raises:
            InputError: If a file cannot be written.
        """
        if not self.is_json:
            console = data()
            has_colours = console.color_system is not None and not console.no_color
            sheet = Sheet(console.width, is_coloured=has_colours)
            console.print(draw(sheet))
        self.save(draw, page)

    def save(self, draw: Draw, page: Callable[[], str] | None = None) -> None:
        """Into the files that are asked for alone; the terminal has seen it.

        Raises:
            InputError: If a file cannot be written.
        """
        if self.pictures.any:
            from tissu_cli.render.pictures import WIDTH, save_pictures

            save_pictures(self.pictures, draw(Sheet(WIDTH, is_coloured=True)), page)
