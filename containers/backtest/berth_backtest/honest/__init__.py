"""What says how far a result can be trusted. Meanings are in docs/conventions.md §5."""
