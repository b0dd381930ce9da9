"""Textual's driver for a terminal that may go away, or send what is no text."""

import codecs
from collections.abc import Callable
from functools import partial

from textual.drivers import linux_driver

from tissu_cli.settings import EXIT_HUNG_UP


def _lenient(encoding: str) -> Callable[[], codecs.IncrementalDecoder]:
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")


# Textual 8.2 decodes strictly: one byte of Latin-1, typed or pasted, would end the screen.
linux_driver.getincrementaldecoder = _lenient  # type: ignore[assignment,attr-defined]


class TerminalDriver(linux_driver.LinuxDriver):
    """Ends the screen in good order when its terminal is gone."""

    def _run_input_thread(self) -> None:
        app = self._app
        try:
            self.run_input_thread()
        except OSError:
            app.call_later(app.exit, return_code=EXIT_HUNG_UP)
        except Exception as error:  # noqa: BLE001  a bug, which ``run_screen`` raises
            app.call_later(app._handle_exception, error)
