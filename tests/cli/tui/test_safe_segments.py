"""The last net before the terminal."""

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from tests.cli.tui.test_reply_body import CONTROL
from tissu_cli.tui.safe_segments import SafeSegments


def test_the_last_net_replaces_controls_and_keeps_the_width() -> None:
    net, black = SafeSegments(), Color(0, 0, 0)
    fine = [Segment("漢字 é 😀 text")]
    assert net.apply(fine, black) is fine
    bad = [Segment("fine"), Segment("a\x1b[31m\x9b\u202eb\nc\x00")]
    (first, second) = net.apply(bad, black)
    assert first.text == "fine"
    assert not CONTROL.search(second.text)
    assert cell_len(second.text) == cell_len(bad[1].text)
