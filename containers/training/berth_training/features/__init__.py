"""What is known at a bar's close, and what comes after it."""
