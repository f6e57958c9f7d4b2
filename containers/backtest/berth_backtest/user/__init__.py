"""Strategies that users write: read as syntax trees, checked, compiled, and never simply run."""
