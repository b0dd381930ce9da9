"""Tokenizers as other programs keep them."""
