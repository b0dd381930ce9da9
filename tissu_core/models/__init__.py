"""The decoder, how it is built, counted and scored."""
