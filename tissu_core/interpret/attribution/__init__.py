"""What each word of a prompt adds to what comes after it."""
