"""tissu's library: it computes and yields events, and knows no terminal.

Floors, top to bottom; a file imports only from floors below its own:
``runs`` > ``training evals interpret`` > ``decoding checkpoint`` > ``models data tracking`` >
``layers text runtime`` > ``config`` > ``events storage sanitize`` > ``errors``.
"""

import time

__version__ = "0.1.0"

STARTED = time.monotonic()
"""When this program began, as near as a library can tell; ``--minutes`` counts from here."""
