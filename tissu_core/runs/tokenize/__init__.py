"""Tokenizers: made, used, measured, taken over from other programs."""
