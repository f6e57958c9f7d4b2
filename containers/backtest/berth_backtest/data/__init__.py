"""Prices: one reader for samples and users' files."""
