"""Models that answer: in this process, in one of their own, and while they train."""
