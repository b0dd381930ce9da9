"""Tokenizers that other programs keep in formats of their own."""
