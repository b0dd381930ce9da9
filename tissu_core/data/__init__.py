"""From folders of text to batches of token ids. Nothing on this floor imports torch."""
