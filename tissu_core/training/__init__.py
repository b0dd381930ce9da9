"""The training loop and what it is given: optimizer, schedule, objective."""
