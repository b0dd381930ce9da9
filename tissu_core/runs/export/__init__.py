"""The verbs export: a model as other programs read it."""
