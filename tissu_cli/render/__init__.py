"""Events to what a person sees. Everything that tissu did not write goes through ``sanitize``."""
