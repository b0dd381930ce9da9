"""Models in GGUF files, as llama.cpp and its relatives write them: read, never trusted."""
