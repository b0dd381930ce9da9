"""Models written for other programs to run."""
