"""Suites of questions: their files, how they are put to a model, and what that comes to."""
