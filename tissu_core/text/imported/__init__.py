"""Tokenizers that other programs made: SentencePiece's, tiktoken's, GGUF's."""
