"""The rows that models learn from."""
