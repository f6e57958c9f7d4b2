"""The runner: the small program that wraps the work inside every container. Standard library only."""
