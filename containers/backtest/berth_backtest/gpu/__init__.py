"""Sweeps on a GPU: one thread a symbol and parameter set, with the kernel's own functions."""
