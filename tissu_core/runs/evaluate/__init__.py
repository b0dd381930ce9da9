"""The verbs eval: models measured on text."""
