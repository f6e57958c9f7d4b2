"""Hyper-parameters by trial."""
