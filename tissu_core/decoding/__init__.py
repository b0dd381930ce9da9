"""From logits to text: one decode loop, and pure functions that shape its choices."""
