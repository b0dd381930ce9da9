"""Where events are written down."""
