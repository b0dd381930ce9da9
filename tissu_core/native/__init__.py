"""Decoding in C, compiled at first use where a compiler is; what it computes, torch does too."""
