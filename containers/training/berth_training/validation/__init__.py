"""Which dates train and which test."""
