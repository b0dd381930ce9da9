"""One file per command: read settings, ask the core, draw what it yields."""
