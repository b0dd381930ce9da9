"""A report on a model, as Markdown, as a page and as JSON."""
