"""Views of what ``tissu eval`` measures."""
