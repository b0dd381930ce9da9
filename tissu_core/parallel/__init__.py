"""Training on many processes: who they are, how a model lies on them, how they are started."""
