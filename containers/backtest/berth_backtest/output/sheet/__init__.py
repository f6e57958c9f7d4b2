"""The parts of the tear sheet."""
