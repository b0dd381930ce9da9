"""Text to tokens and back. Nothing on this floor imports torch."""
