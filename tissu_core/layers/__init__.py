"""Parts of a decoder.

Shapes in all files: B batch, T time, C hidden_size, H query heads, K key/value heads, D head_dim,
V vocab_size, F intermediate_size. ``S`` is the time of keys when it differs from that of queries.
"""
