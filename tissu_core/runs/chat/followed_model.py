"""The newest checkpoint of a run that trains, in a process of its own. Imports no torch."""

from collections.abc import Iterator

from tissu_core.config.machine import DeviceConfig
from tissu_core.events.replies import LoadEvent
from tissu_core.runs.chat.follow_model import newest_checkpoint
from tissu_core.runs.chat.remote_model import RemoteModel


class FollowedModel(RemoteModel):
    """A ``RemoteModel`` that is the newest checkpoint of a run at each ``load``."""

    def __init__(self, run: str, machine: DeviceConfig, template: str | None = None) -> None:
        super().__init__(None, machine, template)
        self.run = run

    def load(self) -> Iterator[LoadEvent]:
        """Load the checkpoint that is the newest now.

        Raises:
            TissuError: If there is no such run, it has saved nothing yet, or it cannot be read.
        """
        self.model = str(newest_checkpoint(self.run)[0])
        yield from super().load()
