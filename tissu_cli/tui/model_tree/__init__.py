"""The screen of ``tissu inspect tree``: a model's tensors, each looked at when it is chosen."""
