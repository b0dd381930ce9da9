"""Views of a run: while it trains, and what is left of it."""
