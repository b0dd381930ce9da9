"""Views of what ``tissu inspect`` finds."""
