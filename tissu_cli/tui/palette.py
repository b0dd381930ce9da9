"""Everything that can be done, to be searched: commands, models, conversations, themes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tissu_cli.sessions.slash import COMMANDS
from tissu_core.sanitize import sanitize_line

if TYPE_CHECKING:
    from tissu_cli.tui.app import ChatApp

_SHOWN = 50


class Everything(Provider):
    """Titles are text and no markup: anybody may have written them."""

    def _entries(self) -> Iterator[tuple[str, str, Callable[[], None]]]:
        app = cast("ChatApp", self.app)
        chat = app.chat
        for each in COMMANDS:
            needs_more = bool(each.arguments) and not each.arguments.startswith("[")
            do = app.begin_line if needs_more else chat.obey
            yield each.usage, each.help, partial(do, f"/{each.name}")
        for entry in chat.talk.history.list(_SHOWN):
            yield f"go on: {entry.title}", "a conversation", partial(chat.resume, entry.id)
        for name in chat.model_names:
            yield f"talk to: {name}", "a model", partial(chat.obey, f"/model {name}")
        for name in sorted(app.available_themes):
            yield f"theme: {name}", "colours", partial(chat.obey, f"/theme {name}")

    async def discover(self) -> Hits:
        """What there is before anything is typed."""
        for title, help, do in self._entries():
            yield DiscoveryHit(Content(sanitize_line(title)), do, title, help)

    async def search(self, query: str) -> Hits:
        """What holds the letters that were typed."""
        matcher = self.matcher(query)
        for title, help, do in self._entries():
            safe = sanitize_line(title)
            score = matcher.match(safe)
            if score > 0:
                yield Hit(score, Content(safe), do, safe, help)
