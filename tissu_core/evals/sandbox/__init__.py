"""Running code that nobody trusts, behind walls."""
