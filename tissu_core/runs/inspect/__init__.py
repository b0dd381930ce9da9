"""What is inside a model, and what happened in a run."""
