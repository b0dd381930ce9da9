"""Transforms that make a model smaller."""
