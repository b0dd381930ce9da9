"""What is made from the command tree: completions for four shells, and manual pages."""
