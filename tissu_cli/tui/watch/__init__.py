"""The screen of ``tissu watch``: what runs do while they train."""
