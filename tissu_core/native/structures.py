"""The records of ``step.c``, field by field."""

from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_void_p

ACTIVATIONS = ("silu", "gelu_tanh", "gelu", "relu", "relu2")
"""In the order of its enumeration."""


class Matrix(Structure):
    """Packed or plain rows of weights."""

    _fields_ = (
        ("numbers", c_void_p),
        ("scale", c_void_p),
        ("low", c_void_p),
        ("bias", c_void_p),
        ("rows", c_int32),
        ("cols", c_int32),
        ("group", c_int32),
        ("bits", c_int32),
    )


class Norm(Structure):
    """Weight and bias; without a weight there is none."""

    _fields_ = (("weight", c_void_p), ("bias", c_void_p))


class Block(Structure):
    """A layer of the decoder."""

    _fields_ = (
        *((name, Norm) for name in ("before", "after_attention", "before_mlp", "after_mlp")),
        ("q_norm", Norm),
        ("k_norm", Norm),
        *((name, Matrix) for name in ("q", "k", "v", "o", "gate", "up", "down")),
        ("cos", c_void_p),
        ("sin", c_void_p),
    )


class Model(Structure):
    """All but the embedding."""

    _fields_ = (
        *((name, c_int32) for name in ("hidden", "heads", "kv_heads", "head_dim", "rotary")),
        *((name, c_int32) for name in ("inter", "layers", "activation", "is_layer_norm")),
        ("threads", c_int32),
        *((name, c_float) for name in ("eps", "score_scale", "score_cap", "logit_cap")),
        ("slopes", c_void_p),
        ("blocks", POINTER(Block)),
        ("last", Norm),
        ("head", Matrix),
    )


class Cache(Structure):
    """A layer's keys and values, and the place of the new position."""

    _fields_ = (
        ("keys", c_void_p),
        ("values", c_void_p),
        ("row_stride", c_int64),
        ("head_stride", c_int64),
        ("first", c_int32),
        ("last", c_int32),
        ("dropped", c_int32),
        ("is_wide", c_int32),
        *((name, c_void_p) for name in ("rounded_keys", "rounded_values")),
        *((name, c_void_p) for name in ("key_sizes", "value_sizes")),
        ("room", c_int32),
        ("rounded", c_int32),
    )


class Reading(Structure):
    """Attention of many new tokens."""

    _fields_ = (
        *((name, c_void_p) for name in ("queries", "keys", "values")),
        *((f"{name}_strides", c_int64 * 3) for name in ("query", "key", "value")),
        ("out", c_void_p),
        *((name, c_int32) for name in ("batch", "heads", "kv_heads", "time", "seen", "head_dim")),
        ("scale", c_float),
    )
