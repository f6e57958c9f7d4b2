"""Walk-forward: every fold's train chooses a set, its test says what came of it (docs/conventions.md §5)."""
