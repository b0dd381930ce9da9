"""What a model is trained to do: each is ``objective(model, batch) -> LossOutput``."""
