"""Conversations: what was said, kept and found again, and what can be done with it."""
