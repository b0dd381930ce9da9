"""Tensors of models by forgiving names: read one at a time, summed up, compared."""
